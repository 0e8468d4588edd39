"""The report of a search as one HTML file, which opens from the file system."""

import base64
import html
import json

COLUMNS = {
    "nll": "NLL (nats)",
    "nll_standard_error": "±",
    "elbo": "ELBO (nats)",
    "bits_per_dim": "bits/dim",
    "code_bits": "code (bits)",
    "active_units": "active units",
}


def page(out, results, pictures, settings, command=None):
    """The text of report.html.

    Args:
        out: folder with the pictures and best_recipe.json.
        results: the `SearchResults`.
        pictures: dict of a file's name in `out` to what it shows.
        settings: of the search, as search.json has them.
        command: the command line.
    """
    head = ["trial", *results.space.short_names().values(), *COLUMNS.values(), "minutes", ""]
    rows = [_row(result, result is results.best) for result in results]
    figures = [
        f'<figure><img alt="{html.escape(text)}" src="data:image/png;base64,'
        f'{base64.b64encode((out / name).read_bytes()).decode()}">'
        f"<figcaption>{html.escape(text)}</figcaption></figure>"
        for name, text in pictures.items()
    ]
    budget = settings["recipe"]
    measured = settings["evaluation"]
    objective = results.objective
    how = (
        f"Each trial: {budget['epochs']} epochs of the recipe on the split train of "
        f"{budget['dataset']}, measured on {measured['num_images']:,} images of the validation "
        f"split with {measured['importance_samples']} importance samples, {measured['dtype']}. "
        f"Objective: {objective.name}"
        + (f" of at most {objective.max_code_bits:g} bits" if objective.max_code_bits else "")
        + f". Algorithm: {settings['algorithm']}."
    )
    recipe = ""
    if results.best is not None:
        text = (out / "best_recipe.json").read_text(encoding="utf-8")
        recipe = (
            "<h2>The best recipe</h2><p><code>vlae-tf train best_recipe.json --out RUN</code></p>"
            f"<pre>{html.escape(text)}</pre>"
        )
    return _PAGE.format(
        title=html.escape(f"Search on {budget['dataset']}"),
        conclusion="".join(f"<p>{html.escape(s)}</p>" for s in results.conclusion),
        how=html.escape(how),
        command=f"<pre>{html.escape(command)}</pre>" if command else "",
        figures="".join(figures),
        head="".join(f"<th>{html.escape(name)}</th>" for name in head),
        rows="".join(rows),
        recipe=recipe,
    )


def _row(result, is_best):
    cells = [result.trial, *map(json.dumps, result.values.values())]
    cells += [_figure(name, result.metrics.get(name)) for name in COLUMNS]
    cells += ["" if result.minutes is None else f"{result.minutes:.1f}"]
    cells += [result.error or ("" if result.completed else result.status)]
    style = ' class="best"' if is_best else ""
    return f"<tr{style}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


def _figure(name, value):
    if value is None:
        return ""
    digits = {"bits_per_dim": 4, "active_units": 0, "code_bits": 1}.get(name, 2)
    return f"{value:.{digits}f}"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 16px/1.5 sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ccc; }}
.best td {{ font-weight: bold; background: #eef4ff; }}
figure {{ margin: 1.5rem 0; }} img {{ max-width: 100%; }} figcaption {{ color: #555; }}
pre {{ background: #f4f4f4; padding: .8rem; overflow-x: auto; }}
</style></head><body>
<h1>{title}</h1>
{conclusion}
<p>{how}</p>
{command}
{figures}
<h2>Trials</h2>
<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>
{recipe}
</body></html>
"""

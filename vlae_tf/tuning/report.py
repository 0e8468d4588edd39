"""What people look at after a search: a table, curves, pictures, the best recipe, one HTML file."""

import base64
import csv
import io
import json
import pathlib

import jinja2

from vlae_tf.files import whole, write_text
from vlae_tf.runs.data import split_images
from vlae_tf.tuning.pictures import plot_codes, plot_curves
from vlae_tf.tuning.search_space import SearchSpace
from vlae_tf.units import plus_minus

# The figures of a trial in the table.
_COLUMNS = ("nll", "nll_standard_error", "elbo", "bits_per_dim", "code_bits", "active_units")


def write_report(out, recipe, results, settings, command=None, data_dir=None):
    """Write trials.csv, best_recipe.json, curves.png, reconstructions.png and report.html.

    The HTML file holds everything, so that it opens from the file system.

    Args:
        out: folder of the search.
        recipe: `Recipe` that the search began with.
        results: `SearchResults`.
        settings: settings of the search, the content of search.json.
        command: command line.
        data_dir: folder where TFDS keeps its data.
    """
    _write_csv(out / "trials.csv", results)
    best_recipe = results.best and _best_recipe(recipe, results, command).to_json()
    if best_recipe:
        write_text(out / "best_recipe.json", best_recipe)
    else:
        (out / "best_recipe.json").unlink(missing_ok=True)
    pictures = _write_pictures(out, results, settings["evaluation"]["seed"], data_dir)
    template = pathlib.Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.from_string(template).render(
        **settings,
        results=results,
        rows={trial.trial: _figures(trial, results) for trial in results.completed},
        pictures=pictures,
        command=command,
        best_recipe=best_recipe,
    )
    write_text(out / "report.html", page)


def _figures(trial, results):
    """The figures of a completed trial as a reader wants them: dict of heading to text."""
    metrics, behind = trial.metrics, results.behind(trial)
    nll, error = metrics["nll"], metrics.get("nll_standard_error")
    return {
        f"NLL ({results.unit})": results.told(trial, nll, error),
        "above the lowest": "" if behind is None else plus_minus(*behind, digits=results.digits),
        f"ELBO ({results.unit})": results.told(trial, metrics["elbo"]),
        "code (bits)": f"{metrics['code_bits']:.1f}",
        "active units": f"{metrics['active_units']:.0f}",
    }


def _write_pictures(out, results, seed, data_dir):
    """The pictures that there is something to draw for: dict of what each shows to its PNG."""
    pictures = {}

    def draw(name, text, plot, *content):
        with whole(out / name) as path:
            plot(*content, path)
        pictures[text] = base64.b64encode((out / name).read_bytes()).decode()

    if results.of_each_size:
        text = "Validation NLL, length of the code and active units."
        draw("curves.png", text, plot_curves, results)
    # A trial of a worker elsewhere may have left its weights there.
    present = [t for t in results.of_each_size if (t.folder / "model.weights.h5").exists()]
    if present:
        text = "Validation images, and one image drawn from the code of each, by the size of the "
        images = split_images(results.space.base, "validation", seed, data_dir)[:12]
        draw("reconstructions.png", text + "code.", plot_codes, present, images)
    return pictures


def _best_recipe(recipe, results, command):
    """The recipe that the search began with, its own splits and epochs, with the best values."""
    values, best = results.best.values, results.best
    nll = results.told(best, best.metrics["nll"], best.metrics.get("nll_standard_error"))
    note = (
        f"{recipe.notes} Chosen by validation NLL ({results.unit}): {nll}, in a search over "
        f"{', '.join(values)}{f': {command}' if command else ''}"
    )
    chosen = SearchSpace(recipe, results.space.choices).recipe(values)
    return chosen.replace(notes=note.strip())


def _write_csv(path, results):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ["trial", *results.space.choices, "status", "score", *_COLUMNS, "minutes", "error"]
    )
    for trial in results:
        writer.writerow(
            [trial.trial, *map(json.dumps, trial.values.values())]
            + [trial.status, trial.score, *(trial.metrics.get(name) for name in _COLUMNS)]
            + [trial.minutes and round(trial.minutes, 2), trial.error]
        )
    write_text(path, text.getvalue())

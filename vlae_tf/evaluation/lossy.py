"""The lossy experiment: what a smaller window leaves to the code."""

import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from vlae_tf.checks import check_integer
from vlae_tf.evaluation.plots import plot_rows
from vlae_tf.evaluation.units import (
    SIZE,
    control_nll,
    gain,
    number_of_images,
    window,
)
from vlae_tf.files import PathLike, save_figure, write_text
from vlae_tf.models.folder import read_part
from vlae_tf.records import check_weights, read_metrics
from vlae_tf.runs import Recipe, load_run
from vlae_tf.runs.data import split_images
from vlae_tf.units import in_unit, rounded, unit, with_error

_CONDITIONS = ("dataset", "split", "binarisation", "seed")


def compare_windows(
    folders: Mapping[str, PathLike],
    out: PathLike,
    num_images: int = 8,
    draws: int = 3,
    seed: int = 0,
    data_dir: PathLike | None = None,
) -> list[dict]:
    """Compare models with different windows: likelihood, code, and what the code keeps.

    The code need not carry what the window of the decoder shows. The smaller the window, the more
    the code is worth, and the more of an image is the same in all images drawn from one code. The
    worth of a code is log p(x) with it less log p(x) of the same decoder trained without it.

    Args:
        folders: dict of names to folders of runs or zoo entries, each evaluated by
            `vlae-tf evaluate` on as many images with as many importance samples. The largest such
            evaluation is taken.
        out: folder for table.md, curves.png (NLL, worth of the code, and its bits) and
            reconstructions.png (images, and below them, for each model, several drawn from the
            code of each).
        num_images: columns of the picture of reconstructions.
        draws: images drawn from each code.
        seed: seed of the draws.
        data_dir: folder where TFDS keeps its data.

    Returns:
        The rows of the table, see `window_rows`.

    Raises:
        ValueError: if there is no model, or one was not evaluated, or if the models were evaluated
            on different images or have no evaluation of the same size.

    Example:
        >>> from vlae_tf.evaluation import compare_windows
        >>> compare_windows({"small": "runs/small", "large": "runs/large"}, "lossy")
        ... # doctest: +SKIP

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, section 4.3 and figure 3.
    """
    check_integer(num_images, "num_images", least=1)
    check_integer(draws, "draws", least=1)
    paths = {name: pathlib.Path(folder) for name, folder in folders.items()}
    rows, metrics = window_rows(paths)
    recipe = Recipe.load(paths[rows[0]["name"]] / "recipe.json")
    images = split_images(recipe, metrics["split"], metrics["seed"], data_dir)[:num_images]
    shown = {"originals": images}
    for row in rows:
        model = load_run(paths[row["name"]], "float32")
        code = np.tile(model.encode(images), (draws, 1))
        drawn = model.decode(code, seed=seed).reshape(draws, *images.shape)
        shown[f"{row['name']}\n{row['code_bits']:.0f} bits"] = drawn

    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plot_rows(shown, out / "reconstructions.png")
    _plot_curves(rows, metrics, out / "curves.png")
    write_text(out / "table.md", window_table(rows, metrics))
    return rows


# === What was measured ===


def window_rows(folders):
    """The evaluations of models with different windows, by how much the windows show.

    Args:
        folders: dict of names to paths, as for `compare_windows`. No weights are loaded.

    Returns:
        A list of dicts: `name`, `window`, `latent_dim`, `control` (NLL of the same decoder without
        a code on as many images, nats, or None), `gain` (worth of the code and its standard error,
        nats, or None if the control was not measured with these very samples), and the values of
        `evaluate`; and the metrics of the first model, for the unit.

    Raises:
        ValueError: as `compare_windows`.
    """
    measured = _measured(folders)
    found = []
    for name, block in _common_blocks(measured).items():
        size, shown = window(read_part(folders[name], "likelihood_family"))
        row = {
            "name": name,
            "window": shown,
            "latent_dim": Recipe.load(folders[name] / "recipe.json").model["latent_dim"],
            "control": control_nll(measured[name], block),
            "gain": gain(measured[name], block),
            **{key: value for key, value in block.items() if key != "command"},
        }
        found.append((size, row))
    found.sort(key=lambda each: each[0])
    rows = [row for _, row in found]
    return rows, measured[rows[0]["name"]]


def _measured(folders):
    if not folders:
        raise ValueError(f"`folders` must name at least one model. Received: folders={folders!r}")
    measured = {}
    for name, folder in folders.items():
        if not (folder / "metrics.json").is_file():
            raise ValueError(
                "`folders` must be evaluated: run `vlae-tf evaluate` on each first. "
                f"Received: {name}={str(folder)!r}, without metrics.json"
            )
        measured[name] = read_metrics(folder / "metrics.json")
        check_weights(folder, measured[name])
    kinds = {tuple(metrics[key] for key in _CONDITIONS) for metrics in measured.values()}
    if len(kinds) > 1:
        raise ValueError(
            f"`folders` must be evaluated on the same {', '.join(_CONDITIONS)}. "
            f"Received: {sorted(kinds)}"
        )
    return measured


def _common_blocks(measured):
    """The largest evaluation that all models have, of each model."""
    sizes = {
        name: {tuple(block[key] for key in SIZE): block for block in metrics["likelihood"]}
        for name, metrics in measured.items()
    }
    common = set.intersection(*(set(blocks) for blocks in sizes.values()))
    if not common:
        told = "; ".join(f"{name}: {sorted(blocks)}" for name, blocks in sizes.items())
        raise ValueError(
            "`folders` must be evaluated with the same number of images and of importance "
            f"samples. Received: {told}"
        )
    return {name: blocks[max(common)] for name, blocks in sizes.items()}


# === What is shown ===


def window_table(rows, metrics):
    """The table of `window_rows`, Markdown."""
    lines = [
        f"| model | window | latent size | NLL ({unit(metrics)}) | -ELBO | without a code "
        "| the code is worth | code bits | active |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        nll, bound = with_error(row, metrics), rounded(-row["elbo"], metrics)
        control = "-" if row["control"] is None else rounded(row["control"], metrics)
        worth = "-" if not row["gain"] else " ± ".join(rounded(v, metrics) for v in row["gain"])
        lines.append(
            f"| {row['name']} | {row['window']} | {row['latent_dim']} | {nll} | {bound} "
            f"| {control} | {worth} | {row['code_bits']:.1f} | {row['active_units']} |"
        )
    images = number_of_images(rows[0], metrics)
    samples = rows[0]["importance_samples"]
    return "\n".join([*lines, "", f"{images} images × {samples:,} importance samples.", ""])


def _plot_curves(rows, metrics, path):
    names = [row["window"].replace(" above, ", "\n") for row in rows]
    if len(set(names)) < len(names):
        names = [row["name"] for row in rows]
    missing = np.nan, np.nan
    nll = np.array([(row["nll"], row["nll_standard_error"] or 0) for row in rows])
    gains = np.array([row["gain"] or missing for row in rows])
    controls = np.array([np.nan if row["control"] is None else row["control"] for row in rows])
    panels = {
        f"NLL ({unit(metrics)})": in_unit(nll, metrics),
        f"the code is worth ({unit(metrics)})": in_unit(gains, metrics),
        "code (bits)": np.array([(row["code_bits"], np.nan) for row in rows]),
    }
    figure = Figure(figsize=(11, 3), dpi=100, layout="constrained")
    likelihood, *of_the_code = figure.subplots(1, 3)
    places = range(len(rows))
    for axes, (label, values) in zip((likelihood, *of_the_code), panels.items(), strict=True):
        axes.errorbar(places, values[:, 0], values[:, 1], fmt="oC0", capsize=3, label="with a code")
        axes.set_xticks(places, names)
        axes.set_xlim(-0.5, len(rows) - 0.5)
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        if axes in of_the_code and (values[:, 0] > 0).any():
            # Windows that hide the colours, or all, leave many times as much to the code.
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
    likelihood.plot(places, in_unit(controls, metrics), "sC7", label="without a code")
    likelihood.legend(frameon=False)
    save_figure(figure, path)

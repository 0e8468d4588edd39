"""The lossy experiment: what a smaller window leaves to the code."""

import pathlib

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from vlae_tf.evaluation.plots import plot_rows
from vlae_tf.evaluation.units import (
    SIZE,
    control_nll,
    gain,
    in_unit,
    number_of_images,
    rounded,
    unit,
    window,
)
from vlae_tf.files import read_metrics, write_text
from vlae_tf.runs import Recipe
from vlae_tf.runs.data import split_images
from vlae_tf.runs.load import load_hashed_run

_CONDITIONS = ("dataset", "split", "binarisation", "seed")


def compare_windows(folders, out, num_images=8, draws=3, seed=0, data_dir=None):
    """Put models with different windows side by side: likelihood, code, and what the code keeps.

    What the window of the decoder shows, the code need not carry: the smaller the window, the more
    the code is worth, and the more of an image is the same in all that is drawn from one code. What
    a code is worth is log p(x) with it less log p(x) of the same decoder trained without it.

    Args:
        folders: dict of names to folders of runs or zoo entries that `vlae-tf evaluate` has
            measured on as many images with as many importance samples; the largest such evaluation
            is taken.
        out: folder for table.md, curves.png (NLL, what the code is worth, and its bits) and
            reconstructions.png (images, and below them, for each model, several drawn from the
            code of each).
        num_images: columns of the picture of reconstructions.
        draws: images drawn from each code.
        seed: of the draws.
        data_dir: where TFDS keeps its data.

    Returns:
        A list of dicts, by what the window shows: `name`, `window`, `latent_dim`, `control`
        (NLL of the same decoder without a code on as many images, nats, or None), `gain` (what the
        code is worth and the standard error of that, nats, or None if the control was not measured
        beside these very samples), and the figures of `evaluate`.
        Table and curves tell likelihoods in nats, or in bits/dim for images of 256 levels.

    Raises:
        ValueError: if there is no model, or one that is not measured, or if they are measured on
            other images or in no way that is common to all.

    Example:
        >>> from vlae_tf.evaluation import compare_windows
        >>> compare_windows({"small": "runs/small", "large": "runs/large"}, "lossy")
        ... # doctest: +SKIP

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, section 4.3 and figure 3.
    """
    if num_images < 1 or draws < 1:
        raise ValueError(
            "`num_images` and `draws` must be positive. "
            f"Received: num_images={num_images!r}, draws={draws!r}"
        )
    folders = {name: pathlib.Path(folder) for name, folder in folders.items()}
    rows, models, metrics = _compared(folders)
    recipe = Recipe.load(folders[rows[0]["name"]] / "recipe.json")
    images = split_images(recipe, metrics["split"], metrics["seed"], data_dir)[:num_images]
    shown = {"originals": images}
    for row, model in zip(rows, models, strict=True):
        code = np.tile(model.encode(images), (draws, 1))
        drawn = model.decode(code, seed=seed).reshape(draws, *images.shape)
        shown[f"{row['name']}\n{row['code_bits']:.0f} bits"] = drawn

    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plot_rows(shown, out / "reconstructions.png")
    _plot_curves(rows, metrics, out / "curves.png")
    write_text(out / "table.md", _table(rows, metrics))
    return rows


# === What was measured ===


def _compared(folders):
    """The rows and the models, by what their windows show, and the metrics of one for the unit."""
    measured = _measured(folders)
    found = []
    for name, block in _common_blocks(measured).items():
        model, weights = load_hashed_run(folders[name], "float32")
        if weights != measured[name]["weights_sha256"]:
            raise ValueError(
                "`folders` must be measured with the weights that they hold: evaluate them again. "
                f"Received: {name}={str(folders[name])!r}, measured with others"
            )
        size, shown = window(model.likelihood_family)
        row = {
            "name": name,
            "window": shown,
            "latent_dim": model.latent_dim,
            "control": control_nll(measured[name], block),
            "gain": gain(measured[name], block),
            **{key: value for key, value in block.items() if key != "command"},
        }
        found.append((size, row, model))
    found.sort(key=lambda each: each[0])
    _, rows, models = zip(*found, strict=True)
    return list(rows), models, measured[rows[0]["name"]]


def _measured(folders):
    if not folders:
        raise ValueError(f"`folders` must name at least one model. Received: folders={folders!r}")
    measured = {}
    for name, folder in folders.items():
        if not (folder / "metrics.json").is_file():
            raise ValueError(
                "`folders` must be measured: run `vlae-tf evaluate` on each first. "
                f"Received: {name}={str(folder)!r}, without metrics.json"
            )
        measured[name] = read_metrics(folder / "metrics.json")
    kinds = {tuple(metrics[key] for key in _CONDITIONS) for metrics in measured.values()}
    if len(kinds) > 1:
        raise ValueError(
            f"`folders` must be measured on the same {', '.join(_CONDITIONS)}. "
            f"Received: {sorted(kinds)}"
        )
    return measured


def _common_blocks(measured):
    """Of each the likelihood with as many images and samples as the others have."""
    sizes = {
        name: {tuple(block[key] for key in SIZE): block for block in metrics["likelihood"]}
        for name, metrics in measured.items()
    }
    common = set.intersection(*(set(blocks) for blocks in sizes.values()))
    if not common:
        told = "; ".join(f"{name}: {sorted(blocks)}" for name, blocks in sizes.items())
        raise ValueError(
            "`folders` must be measured with the same number of images and of importance "
            f"samples. Received: {told}"
        )
    return {name: blocks[max(common)] for name, blocks in sizes.items()}


# === What is shown ===


def _table(rows, metrics):
    lines = [
        f"| model | window | latent size | NLL ({unit(metrics)}) | -ELBO | without a code "
        "| the code is worth | code bits | active |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        values = row["nll"], row["nll_standard_error"], -row["elbo"]
        nll, error, bound = (rounded(value, metrics) for value in values)
        control = "-" if row["control"] is None else rounded(row["control"], metrics)
        worth = "-" if not row["gain"] else " ± ".join(rounded(v, metrics) for v in row["gain"])
        lines.append(
            f"| {row['name']} | {row['window']} | {row['latent_dim']} | {nll} ± {error} | {bound} "
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
    nll = np.array([(row["nll"], row["nll_standard_error"]) for row in rows])
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
    figure.savefig(path)

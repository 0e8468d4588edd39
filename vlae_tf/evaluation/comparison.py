"""Runs side by side: likelihoods of the same images, and what the objective made of the code."""

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from vlae_tf.checks import refuse
from vlae_tf.evaluation.run_metrics import read_log_prob
from vlae_tf.evaluation.units import SIZE, number_of_images, number_of_samples
from vlae_tf.files import PathLike, write_between
from vlae_tf.records import (
    check_weights,
    epochs_and_seconds,
    read_metrics,
    read_probe,
    read_run,
)
from vlae_tf.runs import Recipe
from vlae_tf.units import in_unit, plus_minus, rounded, unit, with_error

_SAME = ("dataset", "split", "binarisation", "seed")
_BEGIN, _END = "<!-- comparison: written by `vlae-tf compare` -->", "<!-- end of comparison -->"


def comparison_table(folders: Sequence[PathLike]) -> str:
    """What was measured of several runs: a Markdown table, a row for each evaluation.

    Args:
        folders: folders of runs or zoo entries that `vlae-tf evaluate` has evaluated, on the same
            split of the same data set, with the same seed. The first one is what the others are
            compared with: their difference in NLL is over the same images, where both kept the
            log-probability of each, and its standard error is that of the mean of the pairs. What
            `vlae-tf evaluate --information` and `vlae-tf probe` measured of some is there too.

    Raises:
        ValueError: for no folder, or evaluations of different data.

    Example:
        >>> from vlae_tf.evaluation import comparison_table
        >>> comparison_table(["runs/elbo", "runs/iwae"])  # doctest: +SKIP
    """
    if isinstance(folders, (str, os.PathLike)) or not len(folders):
        refuse("folders", "a list of the folders of one run or more", folders)
    paths = [pathlib.Path(folder) for folder in folders]
    all_metrics = [read_metrics(folder / "metrics.json") for folder in paths]
    _check_comparable(paths, all_metrics)
    name = unit(all_metrics[0])
    rows = []
    for folder, metrics in zip(paths, all_metrics, strict=True):
        recipe = Recipe.load(folder / "recipe.json")
        more, epochs = _more(folder, metrics), _epochs(folder, recipe)
        for block in metrics["likelihood"]:
            row = {
                "run": f"`{folder.name}`",
                "objective": _objective(recipe.objective),
                "epochs": epochs,
                "images × samples": f"{number_of_images(block, metrics)} × "
                + number_of_samples(block),
                f"NLL ({name})": with_error(block, metrics),
                f"less than the first ({name})": _difference(paths[0], folder, block, metrics),
                "-ELBO": rounded(-block["elbo"], metrics),
                "KL (nats)": f"{block['kl']:.2f}",
                "active units": block.get("active_units", "-"),
            }
            rows.append(row | more)
    heads = list(dict.fromkeys(head for row in rows for head in row))
    cells = [heads, ["---"] * len(heads), *([row.get(h, "-") for h in heads] for row in rows)]
    return "\n".join([*(f"| {' | '.join(map(str, line))} |" for line in cells), ""])


def paired_difference(
    first: PathLike, second: PathLike, block: Mapping
) -> tuple[float, float] | None:
    """How much lower the NLL of the second run is than that of the first, in nats, over the same
    images, and the standard error of that; None for a run with itself, and where a run did not
    keep the log-probability of each image.

    Args:
        first: folder of a run or zoo entry.
        second: the same.
        block: the `num_images` and `importance_samples` of an evaluation of both, with one seed.

    Raises:
        ValueError: for no folder, evaluations of different data, or weights trained on since.

    Example:
        >>> from vlae_tf.evaluation import paired_difference
        >>> size = {"num_images": 10_000, "importance_samples": 256}
        >>> paired_difference("runs/elbo", "runs/iwae", size)  # doctest: +SKIP
    """
    folders = [pathlib.Path(folder).resolve() for folder in (first, second)]
    if missing := [folder for folder in folders if not folder.is_dir()]:
        raise ValueError(f"`first` and `second` must be folders. Received: {str(missing[0])!r}")
    evaluated = [folder for folder in folders if (folder / "metrics.json").is_file()]
    _check_comparable(evaluated, [read_metrics(f / "metrics.json") for f in evaluated])
    return _paired(folders[0], folders[1], block)


def _paired(first, second, block):
    """`paired_difference` of two runs that are known to be comparable."""
    if first == second:
        return None
    arrays = [_log_prob(folder, block) for folder in (first, second)]
    if any(array is None or len(array) < 2 for array in arrays):
        return None
    pairs = arrays[1].astype("float64") - arrays[0]
    return float(pairs.mean()), float(pairs.std(ddof=1) / np.sqrt(len(pairs)))


def _check_comparable(paths, all_metrics):
    """Raises unless all were evaluated on the same images, with the weights that are there."""
    for folder, metrics in zip(paths, all_metrics, strict=True):
        if (folder / "model.weights.h5").is_file():
            check_weights(folder, metrics)
    told = [tuple(metrics[key] for key in _SAME) for metrics in all_metrics]
    if len(set(told)) > 1:
        received = ", ".join(f"{f.name}: {t}" for f, t in zip(paths, told, strict=True))
        raise ValueError(f"`folders` must agree in {', '.join(_SAME)}. Received: {received}")
    if len({metrics.get("images_sha256") for metrics in all_metrics} - {None}) > 1:
        names = ", ".join(folder.name for folder in paths)
        raise ValueError(
            "`folders` must have been evaluated on the same images: those of a file or folder have "
            f"changed since. Evaluate them again. Received: {names} with other images_sha256"
        )


def _log_prob(folder, size):
    """log p(x) of the images of a folder's evaluation of this size, or None."""
    path = folder / "metrics.json"
    if not path.is_file():
        return None
    blocks = read_metrics(path)["likelihood"]
    found = [block for block in blocks if all(block[key] == size[key] for key in SIZE)]
    return read_log_prob(path, found[0]) if found else None


def renew_comparison(page: PathLike, folders: Sequence[PathLike]) -> None:
    """Puts `comparison_table(folders)` between the marks of a page; a `ValueError` without them."""
    write_between("page", pathlib.Path(page), _BEGIN, _END, comparison_table(folders))


def _epochs(folder, recipe):
    """The epochs of a run, those of a run that it went on from included."""
    if not (folder / "run.json").is_file():
        return recipe.epochs
    return epochs_and_seconds(read_run(folder / "run.json"))[0]


def _more(folder, metrics):
    """What was measured of some runs only: dict of heading to text."""
    told = {}
    if information := metrics.get("mutual_information"):
        told["mutual information (nats)"] = f"{information['nats']:.2f}"
    if (folder / "probe.json").is_file():
        probe = read_probe(folder / "probe.json")
        # A run may have been trained further since.
        if probe.get("weights_sha256") == metrics["weights_sha256"]:
            told["linear probe (%)"] = f"{100 * probe['code']['accuracy']:.1f}"
    return told


def _objective(part):
    options = ", ".join(f"{key}={value!r}" for key, value in part["config"].items())
    return f"`{part['class_name']}({options})`"


def _difference(first, folder, block, metrics):
    """How much lower the NLL is than that of the first run, as text."""
    found = _paired(first.resolve(), folder.resolve(), block)
    if found is None:
        return "-"
    number, error = (in_unit(nats, metrics) for nats in found)
    return plus_minus(number, error, digits=2)

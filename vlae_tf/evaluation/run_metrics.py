"""Evaluation of a training run, from its folder."""

import json
import pathlib
from collections.abc import Callable

import numpy as np

from vlae_tf.catalogue import result_file
from vlae_tf.checks import check_integer
from vlae_tf.evaluation.metrics import evaluate
from vlae_tf.evaluation.mutual_information import mutual_information
from vlae_tf.evaluation.units import SIZE
from vlae_tf.files import PathLike, read_numpy, write_array, write_text
from vlae_tf.models.partial_results import PartialResults
from vlae_tf.records import read_metrics, read_run
from vlae_tf.runs import Recipe
from vlae_tf.runs.data import binarisation, images_sha256, split_images
from vlae_tf.runs.load import load_hashed_run
from vlae_tf.seeds import row_seeds

_CONDITIONS = ("dataset", "split", "binarisation", "seed")


def evaluate_run(
    folder: PathLike,
    path: PathLike | None = None,
    split: str = "test",
    importance_samples: int = 256,
    num_images: int | None = None,
    control: PathLike | None = None,
    seed: int = 0,
    batch_size: int = 128,
    data_dir: PathLike | None = None,
    dtype: str = "float32",
    information: bool = False,
    command: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> dict:
    """Evaluate the model of a run on its data set, and write or extend its metrics.json.

    The file holds the sha256 of the weights, the conditions, and under `likelihood` one block, as
    `evaluate` returns it, for each number of images and samples; the one with the most images comes
    first. Blocks of the same weights are kept, those of other weights are dropped. `control` is
    next to them, with the epochs and the command of its training, and `mutual_information`, with
    the number of images it was estimated from.

    Each block has a second file, `<name>-<images>x<samples>.npy`: log p(x) of each image in nats,
    float32, in the order of the split. Mean and standard error can be recomputed from it, and two
    models compared image by image.

    A part of the images is drawn at random, because data sets tend to begin with the easier half.
    An image keeps its noise, so blocks over the same images differ by their samples alone.

    Intermediate results are in `partial-<name>-<fingerprint>.npy` next to the file: after the
    process was killed, the same call continues from there, to the same result. Several evaluations
    of one run can be at work at once: each adds its block to the file.

    Args:
        folder: folder of the run, or of a zoo entry.
        path: file to write; `metrics.json` in `folder` unless given. Of an entry of the zoo, where
            the published figures are, it must be given.
        split: split of the run's data set.
        importance_samples: K, the number of codes drawn for each image.
        num_images: number of images of the split; all unless given.
        control: folder of the run that trained the same decoder without a code.
        seed: seed of the noise, of the choice of images, and of the one draw by which images of a
            "dynamic" data set are made binary.
        batch_size: pairs of an image and a sample evaluated at once; memory is proportional to it.
        data_dir: folder where TFDS keeps its data.
        dtype: policy of the convolutions: "float32", or "mixed_bfloat16" where that is faster.
        information: whether to estimate the mutual information of image and code too, from the
            same images; see `mutual_information`.
        command: the command line that does this, for the record.
        progress: called after each step with the number of pairs done and of all pairs.

    Returns:
        What the file holds now.

    Raises:
        ValueError: if the file holds results of the same weights under other conditions, for a
            wrong number of images, for a control with another data set or likelihood, or if a
            figure is not finite; the file is left as it was.

    Example:
        >>> from vlae_tf.evaluation import evaluate_run
        >>> evaluate_run("runs/mnist_static", num_images=500, importance_samples=4096)
        ... # doctest: +SKIP

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, section 4.1.
    """
    folder = pathlib.Path(folder)
    path = result_file(folder, path, "metrics.json")
    recipe = Recipe.load(folder / "recipe.json")
    model, weights = load_hashed_run(folder, dtype)
    images = split_images(recipe, split, seed, data_dir)
    record = {
        "dataset": recipe.dataset,
        "split": split,
        "binarisation": binarisation(recipe),
        "seed": seed,
        "weights_sha256": weights,
        "images_sha256": images_sha256(images),
    }
    _written(path, record)  # fails now, not after hours, if the file belongs to something else
    if control is not None:
        trained = _control_record(pathlib.Path(control), recipe)
        control, trained["weights_sha256"] = load_hashed_run(pathlib.Path(control), dtype)

    rows = _rows(len(images), num_images, seed)
    partial = PartialResults(path.with_name(f"partial-{path.stem}.npy"))
    block = evaluate(
        model,
        images[rows],
        importance_samples,
        row_seeds(seed, len(images))[rows],
        batch_size,
        control,
        partial,
        progress,
    )
    log_prob = block.pop("log_prob")
    shared = mutual_information(model, images[rows], seed) if information else None
    # Read when all is computed: another evaluation may have added to it meanwhile.
    written = _written(path, record)
    if control is not None:
        written["control"] = {**block.pop("control"), **trained}
    if information:
        written["mutual_information"] = shared
    others = [b for b in written.pop("likelihood", []) if any(b[k] != block[k] for k in SIZE)]
    blocks = [*others, {**block, "command": command}]
    blocks.sort(key=lambda b: [b[k] for k in SIZE], reverse=True)
    metrics = {**record, "likelihood": blocks, **written}
    write_metrics(path, metrics)
    write_array(log_prob_path(path, block), log_prob)
    partial.remove()
    return metrics


def log_prob_path(path, block):
    """The file with log p(x) of each image of a block, next to the metrics at `path`."""
    return path.with_name(f"{path.stem}-{block['num_images']}x{block['importance_samples']}.npy")


def read_log_prob(path, block):
    """log p(x) of each image of a block of a metrics.json, float32 nats `(n,)`; None if the file of
    them is not there.

    Raises:
        ValueError: names a file that is not that of this block.
    """
    path = log_prob_path(path, block)
    if not path.is_file():
        return None
    array, count = read_numpy(path), block["num_images"]
    if (
        not isinstance(array, np.ndarray)
        or array.dtype.kind != "f"
        or array.shape != (count,)
        or not np.isfinite(array).all()
        or not np.isclose(-array.mean(dtype="float64"), block["nll"])
    ):
        raise ValueError(
            f"{path} must hold the log p(x) of each of {count} images, as floats of mean "
            f"{-block['nll']:.4f}. Run `vlae-tf evaluate` again. Received: another array"
        )
    return array


def write_metrics(path: PathLike, metrics: dict) -> None:
    """Write metrics as JSON. If that fails, the file that was there stays.

    Raises:
        ValueError: for a figure that is not finite.

    Example:
        >>> from vlae_tf.evaluation import write_metrics
        >>> write_metrics("metrics.json", {"nll": float("nan")})
        Traceback (most recent call last):
        ValueError: Every figure must be finite to be written. Received: metrics={'nll': nan}
    """
    try:
        text = json.dumps(metrics, indent=2, allow_nan=False)
    except ValueError as error:
        raise ValueError(
            f"Every figure must be finite to be written. Received: metrics={metrics}"
        ) from error
    write_text(pathlib.Path(path), text + "\n")


def _written(path, record):
    """The metrics at `path`, if they belong to the same weights."""
    if not path.exists():
        return {}
    metrics = read_metrics(path)
    if metrics["weights_sha256"] != record["weights_sha256"]:
        return {}
    # Evaluations of before have no sha256 of the images.
    known = (*_CONDITIONS, *(["images_sha256"] if "images_sha256" in metrics else []))
    different = [key for key in known if metrics.get(key) != record[key]]
    if different:
        raise ValueError(
            f"`path` (--out) must be another file than {str(path)!r}, which holds results of these "
            "weights with "
            + ", ".join(f"{key}={metrics.get(key)!r}" for key in different)
            + ". Received: "
            + ", ".join(f"{key}={record[key]!r}" for key in different)
        )
    return metrics


def _control_record(folder, recipe):
    """How the control was trained, if its run.json is there."""
    own, expected = _decides(Recipe.load(folder / "recipe.json")), _decides(recipe)
    different = [
        f"{key}={own[key]!r} in place of {expected[key]!r}"
        for key in expected
        if own[key] != expected[key]
    ]
    if different:
        raise ValueError(
            "`control` must have the run's data set and likelihood, see `vlae-tf train --control`. "
            f"Received: control={str(folder)!r} with {', '.join(different)}"
        )
    if not (folder / "run.json").is_file():
        return {}
    run = read_run(folder / "run.json")
    return {"epochs": run["epochs"], "trained": run["parts"][-1]["command"]}


def _decides(recipe):
    """The fields of a recipe that decide whether two likelihoods can be compared."""
    return {
        "dataset": recipe.dataset,
        "binarisation": binarisation(recipe),
        "likelihood_family": recipe.model.get("likelihood_family"),
    }


def _rows(n, num_images, seed):
    if num_images is None:
        return np.arange(n)
    check_integer(num_images, "num_images", least=1, below=n + 1)
    return np.sort(np.random.default_rng(seed).permutation(n)[:num_images])

"""The named data sets, read through TFDS."""

import contextlib
import functools
import logging
import os

import numpy as np

from vlae_tf.datasets.omniglot import random_order, shrink
from vlae_tf.datasets.registry import info
from vlae_tf.files import PathLike

log = logging.getLogger(__name__)


def prepare(name: str, data_dir: PathLike | None = None, manual_dir: PathLike | None = None) -> str:
    """Download the data set `name` through TFDS, prepare it, and return where it lies.

    Args:
        name: a name in `DATASETS`.
        data_dir: the TFDS directory; None means `TFDS_DATA_DIR`, or TFDS' own default.
        manual_dir: a folder with files downloaded by hand; None means TFDS' own default,
            `downloads/manual` in the TFDS directory.

    Raises:
        ValueError: unknown name.

    Example:
        >>> prepare("mnist_static")  # doctest: +SKIP
    """
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    builder = tfds_builder(name, data_dir)
    builder.download_and_prepare(download_config=config)
    return str(builder.data_path)


def tfds_builder(name, data_dir=None):
    """The TFDS builder of the data set `name`."""
    import tensorflow_datasets as tfds

    if name == "caltech101_silhouettes":
        from vlae_tf.datasets.caltech101_silhouettes import Caltech101Silhouettes

        return Caltech101Silhouettes(data_dir=data_dir)
    return tfds.builder(info(name).tfds_name, data_dir=data_dir)


def named(name, split, data_dir, feature="image"):
    """A feature of all examples of a split of the data set `name`."""
    with _quiet_tfds():
        entry, builder = info(name), tfds_builder(name, data_dir)
        if not builder.data_path.exists() and _lies_in_manual_dir(builder):
            builder.download_and_prepare()
        try:
            if name == "omniglot":
                values = _omniglot(entry, split, data_dir, feature)
            else:
                parts = entry.splits[split].split("+")
                values = np.concatenate([_read(builder, part, feature) for part in parts])
        except AssertionError as error:  # this is how TFDS says that it is not prepared
            raise FileNotFoundError(_how_to_get(name, data_dir, builder)) from error
    expected = sum(entry.sizes[part] for part in split.split("+"))
    if len(values) != expected:
        log.warning(
            "%s, split %r: %d of the published %d images are in %s; a figure made with them must "
            "say so.",
            name,
            split,
            len(values),
            expected,
            builder.data_path,
        )
    return values


@contextlib.contextmanager
def _quiet_tfds():
    """Within, TFDS does not tell of its own use of what it deprecates."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _lies_in_manual_dir(builder):
    """Whether the builder's files were downloaded by hand, so that no network is needed."""
    manual_dir = builder.data_path.parent.parent / "downloads" / "manual"
    return bool(builder.MANUAL_DOWNLOAD_INSTRUCTIONS) and all(
        (manual_dir / url_info.filename).exists() for url_info in builder.url_infos.values()
    )


def _read(builder, split, feature, convert=lambda value: value):
    """A feature of all examples of a TFDS split, in the order they are stored in."""
    import tensorflow_datasets as tfds

    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        # TFDS would keep small data sets in memory, decoded: a gigabyte of Omniglot.
        read_config=tfds.ReadConfig(try_autocache=False),
        # Labels need no pictures decoded.
        decoders=tfds.decode.PartialDecoding([feature]),
    )
    dataset = dataset.map(lambda x: convert(x[feature]), num_parallel_calls=os.cpu_count())
    # Batches, not single examples: 50,000 conversions to NumPy would take most of the time.
    return np.concatenate(list(tfds.as_numpy(dataset.batch(1000).prefetch(2))))


@functools.lru_cache(maxsize=1)
def _all_omniglot(data_dir):
    """All of Omniglot at 28x28 in its fixed random order; the only slow one, so kept (25 MB)."""
    builder = tfds_builder("omniglot", data_dir)
    # Its three colour channels are equal.
    parts = [_read(builder, part, "image", lambda x: x[..., 0]) for part in ("train", "test")]
    strokes = (np.concatenate(parts) < 128).astype(np.uint8)  # black ink on white paper becomes 1
    labels = np.concatenate([_read(builder, part, "label") for part in ("train", "test")])
    order = random_order(strokes)
    return {"image": shrink(strokes[order]), "label": labels[order]}


def _omniglot(entry, split, data_dir, feature):
    values = _all_omniglot(data_dir)[feature]
    bounds = np.cumsum([0, *entry.sizes.values()])
    parts = dict(zip(entry.sizes, zip(bounds[:-1], bounds[1:], strict=True), strict=True))
    return np.concatenate([values[slice(*parts[part])] for part in split.split("+")])


def _how_to_get(name, data_dir, builder):
    where = f" --data-dir {data_dir}" if data_dir else ""
    how = (
        f"The data set {name!r} is not prepared in {builder.data_path}. Download and prepare it "
        f"with `python -m vlae_tf.datasets {name}{where}`; or, when it is prepared elsewhere, set "
        f"TFDS_DATA_DIR or `data_dir` (--data-dir) to that TFDS directory."
    )
    if name == "caltech101_silhouettes":
        how += " " + builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    return how

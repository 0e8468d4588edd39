"""Whole data sets as arrays: images and labels."""

import difflib
import os
from collections.abc import Sequence

import numpy as np

from vlae_tf.checks import check_choice, check_image_shape, refuse
from vlae_tf.datasets.binarisation import binarised
from vlae_tf.datasets.named import named
from vlae_tf.datasets.registry import DATASETS, SPLITS
from vlae_tf.files import PathLike
from vlae_tf.pictures import own_images, own_labels


def load_arrays(
    source: PathLike | np.ndarray,
    split: str = "train",
    data_dir: PathLike | None = None,
    *,
    image_shape: Sequence[int] | None = None,
    binarise: bool = False,
    seed: int = 0,
    validation_fraction: float = 0.0,
) -> np.ndarray:
    """All images of a split as one uint8 array (n, height, width, channels).

    Args:
        source: a name in `DATASETS`, or own images: an array, a file, or a folder of pictures (see
            `vlae_tf.pictures.own_images`).
        split: "train", "validation", "test" or "train+validation". Validation images are not those
            of test: where TFDS has no validation split they are the last ones of train. (Of
            `caltech101_silhouettes` 11 test pictures are in training too, and 9 of these in
            validation: its authors' files repeat them.)
        data_dir: the TFDS directory; None means `TFDS_DATA_DIR`, or TFDS' own default.
        image_shape: the `(height, width, channels)` the images must have; pictures are resized to
            it.
        binarise: return one fixed Bernoulli draw from the intensities, `binarised(images, seed)`.
        seed: seed of that draw, and of that of validation images.
        validation_fraction: part of own training images, of a source without a split "validation",
            that is that split.

    Returns:
        uint8: pixels {0, 1} where the data set is "static", intensities 0..255 where it is
        "dynamic" (and `binarise` is False), colours 0..255 where it is "none".

    Raises:
        ValueError: unknown name or split, or invalid images.
        FileNotFoundError: the data set is not prepared; the message says how to get it. Nothing is
            ever downloaded here.

    Example:
        >>> import numpy as np
        >>> load_arrays(np.zeros((5, 28, 28, 1), np.uint8)).shape
        (5, 28, 28, 1)
    """
    check_choice(split, "split", SPLITS)
    if image_shape is not None and check_image_shape(image_shape)[2] not in (1, 3):
        refuse("image_shape", "(height, width, channels) with 1 or 3 channels", image_shape)
    if _is_named(source, validation_fraction):
        check_shape(image_shape, DATASETS[source].image_shape, source)
        images = named(source, split, data_dir)
    else:
        images = own_images(source, split, image_shape, validation_fraction, seed)
        where = "the array" if isinstance(source, np.ndarray) else source
        check_shape(image_shape, images.shape[1:], where)
    return binarised(images, seed) if binarise else images


def check_shape(image_shape, received, where):
    """Raises unless `image_shape` is None or the shape of the images of `where`."""
    if image_shape is not None and tuple(image_shape) != tuple(received):
        raise ValueError(
            f"The images of {where} must have the `image_shape` {tuple(image_shape)}. "
            f"Received: images with shape {tuple(received)}"
        )


def _is_named(source, validation_fraction):
    """Whether `source` is the name of a data set, or a path."""
    if not isinstance(source, str) or source not in DATASETS:
        if isinstance(source, str) and not os.path.exists(os.path.expanduser(source)):
            expected = f"the name of a data set ({', '.join(DATASETS)}) or the path of own images"
            expected += ", as a picture, a .npy or .npz file, or a folder"
            close = difflib.get_close_matches(source, DATASETS, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            received = f"source={source!r}, which is no file or folder{meant}"
            refuse("source", expected, source, received)
        return False
    if validation_fraction:
        refuse("validation_fraction", f"0 for {source}, which is split", validation_fraction)
    return True


def load_labels(
    source: PathLike,
    split: str = "train",
    data_dir: PathLike | None = None,
    *,
    seed: int = 0,
    validation_fraction: float = 0.0,
) -> np.ndarray:
    """The class of each image that `load_arrays(source, split)` gives, int64 `(n,)`.

    Args:
        source: a name in `DATASETS` other than `mnist_static`, whose classes were never published
            (those of `omniglot` are its 1,623 characters), or own images with classes (see
            `vlae_tf.pictures.own_labels`).
        split: "train", "validation", "test" or "train+validation".
        data_dir: the TFDS directory; None means `TFDS_DATA_DIR`, or TFDS' own default.
        seed, validation_fraction: those of `load_arrays`.

    Raises:
        ValueError: unknown source or split, or a data set without classes.
        FileNotFoundError: the data set is not prepared; the message says how to get it.

    Example:
        >>> from vlae_tf.datasets import load_labels
        >>> load_labels("mnist_static")
        Traceback (most recent call last):
        ValueError: `source` must be a data set with classes; mnist_dynamic has the digits of ...
    """
    check_choice(split, "split", SPLITS)
    if not _is_named(source, validation_fraction):
        return own_labels(source, split, validation_fraction, seed)
    if source == "mnist_static":
        raise ValueError(
            "`source` must be a data set with classes; mnist_dynamic has the digits of "
            "mnist_static and their classes (vlae-tf probe --dataset mnist_dynamic). "
            f"Received: source={source!r}"
        )
    return named(source, split, data_dir, feature="label")

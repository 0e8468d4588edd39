"""Whole data sets as arrays: images and labels."""

import numpy as np

from vlae_tf.checks import check_choice, check_image_shape, refuse
from vlae_tf.datasets.binarisation import binarised
from vlae_tf.datasets.named import named
from vlae_tf.datasets.own import own_images
from vlae_tf.datasets.registry import DATASETS, SPLITS, info


def load_arrays(
    source, split="train", data_dir=None, *, image_shape=None, binarise=False, seed=0
) -> np.ndarray:
    """All images of a split as one uint8 array (n, height, width, channels).

    Args:
        source: a name in `DATASETS`, or own images: an array, a `.npy` or `.npz` file, or a folder
            of pictures (see `own_images`).
        split: "train", "validation", "test" or "train+validation". Validation images are never
            test images: where TFDS has no validation split they are the last ones of train.
        data_dir: the TFDS directory; None means `TFDS_DATA_DIR`, or TFDS' own default.
        image_shape: the `(height, width, channels)` the images must have; a folder's pictures are
            resized to it.
        binarise: return one fixed Bernoulli draw from the intensities, `binarised(images, seed)`.
        seed: seed of that draw.

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
    if isinstance(source, str) and source in DATASETS:
        check_shape(image_shape, DATASETS[source].image_shape, source)
        images = named(source, split, data_dir)
    else:
        images = own_images(source, split, image_shape)
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


def load_labels(name, split="train", data_dir=None) -> np.ndarray:
    """The class of each image that `load_arrays(name, split)` gives, int64 `(n,)`.

    Args:
        name: a name in `DATASETS` other than `mnist_static`, whose classes were never published.
            The classes of `omniglot` are its 1,623 characters.
        split: "train", "validation", "test" or "train+validation".
        data_dir: the TFDS directory; None means `TFDS_DATA_DIR`, or TFDS' own default.

    Raises:
        ValueError: unknown name or split, or a data set without classes.
        FileNotFoundError: the data set is not prepared; the message says how to get it.

    Example:
        >>> from vlae_tf.datasets import load_labels
        >>> load_labels("mnist_static")
        Traceback (most recent call last):
        ValueError: `name` must be a data set with classes; mnist_dynamic has the digits of ...
    """
    check_choice(split, "split", SPLITS)
    if info(name).name == "mnist_static":
        raise ValueError(
            "`name` must be a data set with classes; mnist_dynamic has the digits of mnist_static "
            f"and their classes (vlae-tf probe --dataset mnist_dynamic). Received: name={name!r}"
        )
    return named(name, split, data_dir, feature="label")

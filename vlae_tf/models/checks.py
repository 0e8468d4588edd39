"""Checks of what users give a model, with errors that say what was expected."""

import keras
import numpy as np


def check_image_shape(image_shape):
    """`image_shape` as a tuple of three integers."""
    shape = tuple(image_shape) if isinstance(image_shape, (list, tuple)) else ()
    if len(shape) != 3 or any(not isinstance(n, (int, np.integer)) or n < 1 for n in shape):
        raise ValueError(
            "`image_shape` must be three positive integers, (height, width, channels). "
            f"Received: image_shape={image_shape!r}"
        )
    return tuple(int(n) for n in shape)


def check_images(images, image_shape):
    """Raises unless `images` is a batch of binary images of this shape."""
    images = np.asarray(images)
    _check_shape(images.shape, image_shape)
    if not len(images):
        raise ValueError(
            f"`images` must hold at least one image. Received: images with shape {images.shape}"
        )
    numbers = images.dtype.kind in "buif"
    if not numbers or not np.isin(images, (0, 1)).all():
        received = f" between {images.min()} and {images.max()}" if numbers else ""
        raise ValueError(
            "`images` must be binary, every pixel 0 or 1; binarise grey images first "
            f"(`vlae_tf.datasets.load` does). Received: images of {images.dtype}{received}"
        )


def check_data(data, image_shape):
    """As `check_images`, for all that `fit`, `evaluate` and `predict` take.

    Of a `keras.utils.PyDataset` the first batch is looked at, of a `tf.data.Dataset` the shape
    alone, if known: to read from it would use up randomness. Generators are not looked at.
    """
    if isinstance(data, keras.utils.PyDataset):
        check_images(_first(data[0]), image_shape)
    elif hasattr(data, "element_spec"):
        shape = getattr(_first(data.element_spec), "shape", None)
        if getattr(shape, "rank", None) is not None:
            _check_shape(tuple(shape), image_shape)
    elif hasattr(data, "shape"):
        check_images(data, image_shape)


def _first(batch):
    return batch[0] if isinstance(batch, (tuple, list)) else batch


def _check_shape(shape, image_shape):
    # A tf.data.Dataset may leave sizes unknown.
    if len(shape) != 4 or any(
        size not in (None, wanted) for size, wanted in zip(shape[1:], image_shape, strict=True)
    ):
        raise ValueError(
            f"`images` must have shape (batch, {', '.join(map(str, image_shape))}). "
            f"Received: images with shape {shape}"
        )

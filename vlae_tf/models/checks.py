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


def check_dtype(dtype):
    """Raises unless `dtype` is a policy with weights in float32, whatever it computes in."""
    try:
        weights = keras.dtype_policies.get(dtype).variable_dtype
    except ValueError:
        weights = None
    if weights != "float32":
        raise ValueError(
            "`dtype` must be float32 or mixed_bfloat16: a policy of Keras with weights in float32. "
            f"Received: dtype={dtype!r}"
        )


def check_images(images, image_shape, levels=2):
    """Raises unless `images` is a batch of images of this shape, with pixels of 0..levels-1."""
    images = np.asarray(images)
    check_shape(images.shape, image_shape)
    if not len(images):
        raise ValueError(
            f"`images` must hold at least one image. Received: images with shape {images.shape}"
        )
    numbers = images.dtype.kind in "buif"
    if numbers and 0 <= images.min() and images.max() <= levels - 1:
        if images.dtype.kind != "f" or (images == np.floor(images)).all():
            return
    received = f" between {images.min()} and {images.max()}" if numbers else ""
    expected = (
        "be binary, every pixel 0 or 1; binarise grey images first (`vlae_tf.datasets.load` does)"
        if levels == 2
        else f"have whole numbers from 0 to {levels - 1}, as uint8 has; scaling happens inside"
    )
    raise ValueError(f"`images` must {expected}. Received: images of {images.dtype}{received}")


def check_known(known, mask, shape, receptive_field, levels=2):
    """`known` and `mask` as float32 and boolean arrays of this shape, `(batch, *image_shape)`.

    Raises unless the order of the decoder allows the mask: what is drawn later cannot change what
    a known pixel saw, so that no known pixel may see an unknown one, and the channels of a pixel,
    which are drawn together, are known together. Independent binary pixels (`receptive_field` None)
    allow any.
    """
    if (known is None) != (mask is None):
        raise ValueError(
            f"`known` and `mask` must be given together. Received: known={known!r}, mask={mask!r}"
        )
    try:
        known, mask = np.broadcast_to(known, shape), np.broadcast_to(mask, shape)
    except ValueError as error:
        raise ValueError(
            f"`known` and `mask` must have shape {shape}, or broadcast to it. Received: known "
            f"with shape {np.shape(known)}, mask with shape {np.shape(mask)}"
        ) from error
    check_images(known, shape[1:], levels)
    if mask.dtype != bool:
        raise ValueError(f"`mask` must be boolean. Received: mask of {mask.dtype}")
    certain = mask.all(axis=-1)
    partly = certain != mask.any(axis=-1)
    if partly.any() and (receptive_field is not None or levels > 2):
        _, row, column = np.argwhere(partly)[0]
        raise ValueError(
            "`mask` must be the same in all channels of a pixel: they are drawn together. "
            f"Received: a mask with pixel ({row}, {column}) known in some of its channels"
        )
    if receptive_field is not None:
        above, left, right, slope = receptive_field
        for up in range(above + 1):
            for side in range(-left, (min(right, slope * up) if up else -1) + 1):
                seer = certain[:, up:, max(-side, 0) : shape[2] - max(side, 0)]
                seen = certain[:, : shape[1] - up, max(side, 0) : shape[2] - max(-side, 0)]
                if (seer & ~seen).any():
                    _, row, column = np.argwhere(seer & ~seen)[0]
                    row, column = row + up, column + max(-side, 0)
                    raise ValueError(
                        "`mask` must be closed under the decoder's window: what a known pixel "
                        "sees must be known too, as with the first rows of an image. Received: a "
                        f"mask with pixel ({row}, {column}) known but not ({row - up}, "
                        f"{column + side}), which it sees"
                    )
    return known.astype("float32"), mask


def check_data(data, image_shape, levels=2):
    """As `check_images`, for all that `fit`, `evaluate` and `predict` take.

    Of a `keras.utils.PyDataset` the first batch is looked at, of a `tf.data.Dataset` the shape
    alone, if known: to read from it would use up randomness. Generators are not looked at.
    """
    if isinstance(data, keras.utils.PyDataset):
        check_images(_first(data[0]), image_shape, levels)
    elif hasattr(data, "element_spec"):
        shape = getattr(_first(data.element_spec), "shape", None)
        if shape is not None:
            check_shape(shape, image_shape)
    elif hasattr(data, "shape"):
        check_images(data, image_shape, levels)


def check_shape(shape, image_shape):
    """Raises unless `shape` is that of a batch of images, as far as it is known."""
    # TensorFlow may leave sizes unknown, or even how many there are.
    if getattr(shape, "rank", 4) is None:
        return
    shape = tuple(shape)
    if len(shape) != 4 or any(
        size not in (None, wanted) for size, wanted in zip(shape[1:], image_shape, strict=True)
    ):
        raise ValueError(
            f"`images` must have shape (batch, {', '.join(map(str, image_shape))}). "
            f"Received: images with shape {shape}"
        )


def _first(batch):
    return batch[0] if isinstance(batch, (tuple, list)) else batch

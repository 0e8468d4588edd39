"""Grey images for binary models."""

import numpy as np
from numpy.typing import ArrayLike

from vlae_tf.checks import check_integer, refuse

THRESHOLD = 128


def thresholded(images: ArrayLike, threshold: int = THRESHOLD) -> np.ndarray:
    """Binary images: intensities of at least a threshold become 1, all others 0.

    An image whose brightest pixel is at most 1 is binary already and stays as it is. Every image is
    judged on its own, so that the images beside it change nothing.

    Args:
        images: uint8 `(n, height, width, channels)`.
        threshold: the least intensity that becomes 1.

    Returns:
        uint8 pixels {0, 1} of the same shape.

    Example:
        >>> thresholded(np.array([[127, 128], [0, 1]], np.uint8).reshape(2, 1, 2, 1)).ravel()
        array([0, 1, 0, 1], dtype=uint8)
    """
    images = np.asarray(images)
    inside = not images.size or 0 <= images.min() <= images.max() < 256
    if images.dtype.kind not in "iub" or not inside:
        received = f"images of dtype {images.dtype}"
        refuse("images", "intensities 0..255 in whole numbers", None, received)
    threshold = check_integer(threshold, "threshold", least=0, below=256)
    binary = images.max(axis=tuple(range(1, images.ndim)), keepdims=True) <= 1
    return np.where(binary, images, images >= threshold).astype("uint8")

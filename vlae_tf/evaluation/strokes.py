"""Measures of how a digit is written, whatever digit it is."""

import numpy as np
from numpy.typing import ArrayLike

from vlae_tf.checks import refuse


def slant(images: ArrayLike) -> np.ndarray:
    """Slant of the ink of each image: columns to the right for each row up.

        slant = -sum_p w_p (x_p - x) (y_p - y) / sum_p w_p (y_p - y)^2

    The sums are over pixels p, in column x_p and row y_p (from the top), with ink w_p; x and y are
    the means that the ink has. It is the shear that would make the ink's covariance upright.

    Args:
        images: binary images or intensities, ink bright, `(n, height, width, 1)`.

    Returns:
        Array `(n,)`; NaN for an image whose ink lies in one row, or that has none.

    Raises:
        ValueError: for images of another shape.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.evaluation import slant
        >>> falling = np.eye(8).reshape(1, 8, 8, 1)
        >>> slant(falling).tolist(), slant(falling[:, ::-1]).tolist()
        ([-1.0], [1.0])

    Reference:
        Hu, "Visual Pattern Recognition by Moment Invariants", 1962, for the moments.
    """
    ink = _ink(images)
    rows, columns = np.indices(ink.shape[1:], "float64")
    with np.errstate(invalid="ignore", divide="ignore"):
        ink /= ink.sum(axis=(1, 2), keepdims=True)
        x, y = (
            places - (ink * places).sum(axis=(1, 2), keepdims=True) for places in (columns, rows)
        )
        variance = (ink * y * y).sum(axis=(1, 2))
        # Rounding leaves a little of what is zero.
        return np.where(variance > 1e-9, -(ink * x * y).sum(axis=(1, 2)) / variance, np.nan)


def stroke_width(images: ArrayLike) -> np.ndarray:
    """Width of the strokes of each image, in pixels.

        width = 4 d - 2

    d is the mean, over the pixels with ink, of the distance to the nearest pixel without. A long
    stroke that is w pixels wide has the width w if w is even, and w + 1/w if w is odd.

    Args:
        images: binary images or intensities, `(n, height, width, 1)`. A pixel has ink if it is
            above half of the brightest one of all.

    Returns:
        Array `(n,)`; NaN for an image without ink.

    Raises:
        ValueError: for images of another shape.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.evaluation import stroke_width
        >>> bar = np.zeros((1, 40, 40, 1))
        >>> bar[:, :, 10:14] = 1
        >>> stroke_width(bar).tolist()
        [4.0]

    Reference:
        Castro et al., "Morpho-MNIST", JMLR 2019, section 3.1, for a thickness of digits from the
        distances to the background.
    """
    from scipy.ndimage import distance_transform_edt

    ink = _ink(images)
    ink = ink > ink.max() / 2
    # Outside the picture there is no edge of a stroke; what touches the border goes on there.
    distances = (distance_transform_edt(image)[image] for image in ink)
    return np.array([4 * each.mean() - 2 if each.size else np.nan for each in distances])


def _ink(images):
    images = np.asarray(images, "float64")
    if images.ndim != 4 or not len(images) or images.shape[-1] != 1:
        refuse(
            "images",
            "of shape (n, height, width, 1), with at least one image",
            images,
            f"images with shape {images.shape}",
        )
    return images[..., 0]

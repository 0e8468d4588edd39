"""Bernoulli draws of binary images from intensities."""

import numpy as np

from vlae_tf.checks import check_array, check_integer


def check_intensities(images, argument="images"):
    """Raises if `images` are binary already: read as intensities, 1 would mean almost black."""
    if images.max() == 1:
        raise ValueError(
            f"Binarisation expects intensities 0..255, and `{argument}` is binary already (its "
            f"largest pixel is 1): leave `binarise` out. Received: binarise set"
        )


def bernoulli(intensities, rng):
    """One draw of Bernoulli(intensity / 255) per pixel; unchecked.

    u is uniform on 0..254, so P(u < intensity) is exactly intensity / 255.
    """
    return (rng.integers(0, 255, intensities.shape, np.uint8) < intensities).view(np.uint8)


def binarised(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """One fixed Bernoulli draw of binary images, x ~ Bernoulli(intensity / 255).

    This is how a dynamically binarised data set is evaluated: `load(name, "test", seed=seed)`
    yields `binarised(load_arrays(name, "test"), seed)`.

    Args:
        images: uint8 intensities 0..255 of shape (n, height, width, channels).
        seed: integer of at least 0; equal seeds give equal draws.

    Returns:
        uint8 pixels {0, 1} of the same shape.

    Raises:
        ValueError: `images` is not such an array or is binary already, or for an invalid `seed`.

    Example:
        >>> binarised(np.full((1, 2, 2, 1), 255, np.uint8)).ravel()
        array([1, 1, 1, 1], dtype=uint8)

    Reference: Salakhutdinov and Murray, "On the quantitative analysis of deep belief networks",
        2008.
    """
    check_array(images)
    check_intensities(images)
    return bernoulli(images, np.random.default_rng(check_integer(seed, "seed", least=0)))

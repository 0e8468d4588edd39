import numpy as np
import pytest

from vlae_tf.datasets import binarised

pytestmark = pytest.mark.jax


def test_the_probability_of_a_pixel_is_its_intensity():
    intensities = np.arange(256, dtype=np.uint8)
    images = np.broadcast_to(intensities, (40_000, 1, 1, 256))
    mean = binarised(images).mean(axis=(0, 1, 2))
    p = intensities / 255
    assert mean[0] == 0 and mean[255] == 1
    assert np.all(np.abs(mean - p) <= 5 * np.sqrt(p * (1 - p) / 40_000))


def test_draws_are_binary_and_depend_on_the_seed_alone():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
    first = binarised(images, seed=1)
    assert first.shape == images.shape and first.dtype == np.uint8
    assert set(np.unique(first)) == {0, 1}
    np.testing.assert_array_equal(first, binarised(images, seed=1))
    assert not np.array_equal(first, binarised(images, seed=2))


def test_binary_images_are_not_taken_for_almost_black_ones():
    with pytest.raises(ValueError, match="`images` is binary already"):
        binarised(np.ones((2, 4, 4, 1), np.uint8))


def test_floats_are_refused():
    with pytest.raises(ValueError, match="must be uint8.*Received: images of dtype float32"):
        binarised(np.ones((2, 4, 4, 1), np.float32))

"""Slant and stroke width of bars that were drawn with known ones."""

import numpy as np
import pytest

from vlae_tf.evaluation import slant, stroke_width


def bar(width, shear=0.0, size=60):
    """A bar of this width through the middle, sheared by so many columns for each row up."""
    rows, columns = np.indices((size, size))
    left = (size - width) / 2 + shear * (size / 2 - rows)
    return ((columns >= left) & (columns < left + width)).astype("uint8")[None, ..., None]


@pytest.mark.parametrize("shear", [-0.5, 0.0, 0.25, 0.7])
def test_slant_is_the_shear(shear):
    assert slant(bar(4, shear))[0] == pytest.approx(shear, abs=0.02)


def test_slant_weighs_pixels_by_their_ink():
    image = np.zeros((1, 4, 4, 1))
    image[0, [3, 0, 0], [0, 0, 3], 0] = [2.0, 1.0, 1.0]
    # Ink at (x, y) of (0, 3) twice, (0, 0) and (3, 0): by hand, cov -9/8 and var 9/4 of four.
    assert slant(image)[0] == pytest.approx(0.5)
    assert slant(255 * image)[0] == pytest.approx(0.5)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 8])
def test_width_of_a_bar(width):
    expected = width + (1 / width if width % 2 else 0)
    assert stroke_width(bar(width))[0] == pytest.approx(expected)
    # Intensities have ink above a half of the brightest.
    assert stroke_width(200 * bar(width) + 50)[0] == pytest.approx(expected)


def test_images_are_measured_alone_and_blank_ones_have_no_measure():
    images = np.concatenate([bar(2, 0.5), np.zeros_like(bar(2)), bar(6)])
    line = np.zeros_like(bar(2))
    line[:, 3] = 1
    images = np.concatenate([images, line])
    assert np.isnan(slant(images)).tolist() == [False, True, False, True]
    assert np.isnan(stroke_width(images)).tolist() == [False, True, False, False]
    np.testing.assert_allclose(slant(images)[[2]], slant(images[[2]]))


@pytest.mark.parametrize("measure", [slant, stroke_width])
@pytest.mark.parametrize("shape", [(0, 8, 8, 1), (8, 8, 1), (2, 8, 8, 3)])
def test_other_shapes_are_refused(measure, shape):
    with pytest.raises(ValueError, match=r"`images` must be of shape .* Received: .*shape"):
        measure(np.ones(shape))

import numpy as np
import pytest

from vlae_tf.datasets.omniglot import random_order, shrink


def random_strokes(n, size):
    return (np.random.default_rng(0).random((n, size, size)) < 0.2).astype(np.uint8)


def test_shrinking_by_a_whole_factor_averages_blocks():
    strokes = random_strokes(3, 12)
    blocks = strokes.reshape(3, 4, 3, 4, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(shrink(strokes, 4)[..., 0], np.round(255 * blocks))


def test_shrinking_105_to_28_is_by_area():
    strokes = random_strokes(2, 105)
    # 105 * 4 = 28 * 15: cut each pixel into 4x4 and average blocks of 15x15.
    fine = strokes.repeat(4, axis=1).repeat(4, axis=2)
    blocks = fine.reshape(2, 28, 15, 28, 15).mean(axis=(2, 4))
    small = shrink(strokes)
    assert small.shape == (2, 28, 28, 1) and small.dtype == np.uint8
    np.testing.assert_array_equal(small[..., 0], np.round(255 * blocks))


@pytest.mark.jax
def test_the_random_order_does_not_depend_on_the_order_given():
    strokes = random_strokes(50, 8)
    ordered = strokes[random_order(strokes)]
    np.testing.assert_array_equal(ordered, strokes[::-1][random_order(strokes[::-1])])
    assert sorted(random_order(strokes)) == list(range(50))
    assert not np.array_equal(ordered, strokes)

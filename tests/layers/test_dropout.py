"""Dropout of few bits: its rate, its mean, and its noise as a function of the seed."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.tiny import numpy_of
from vlae_tf.layers.dropout import Dropout

pytestmark = pytest.mark.jax


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9])
def test_rate_and_mean(rate, dtype):
    ones = ops.ones((3, 101, 99), dtype)
    out = Dropout(rate, seed=0, dtype=dtype)(ones, training=True)
    assert keras.backend.standardize_dtype(out.dtype) == dtype
    out = numpy_of(ops.cast(out, "float32"))
    kept = out != 0
    # Five standard deviations of the mean of as many draws.
    assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / kept.size)
    np.testing.assert_allclose(out[kept], 1 / (1 - rate), rtol=1e-2 if dtype != "float32" else 1e-3)
    # Neighbours, two of which come of one word, are independent.
    pairs = np.corrcoef(kept.reshape(3, -1)[:, :-1:2].ravel(), kept.reshape(3, -1)[:, 1::2].ravel())
    assert abs(pairs[0, 1]) < 5 / np.sqrt(kept.size / 2)


def test_noise_follows_from_the_seed_and_differs_between_calls():
    ones = ops.ones((4, 25))
    one, two = Dropout(0.5, seed=3), Dropout(0.5, seed=3)
    first, second = (numpy_of(one(ones, training=True)) for _ in range(2))
    np.testing.assert_array_equal(first, numpy_of(two(ones, training=True)))
    assert (first != second).any()


@pytest.mark.parametrize(("rate", "training"), [(0.0, True), (0.5, False)])
def test_nothing_is_dropped_without_a_rate_or_outside_training(rate, training):
    ones = ops.ones((2, 3))
    np.testing.assert_array_equal(Dropout(rate)(ones, training=training), ones)

"""Noise that belongs to its row, whatever batch it is in."""

import functools
import types

import numpy as np
import pytest
from keras import ops

from vlae_tf.backend import BACKEND, compiled
from vlae_tf.noise import row_normal, row_uniform

pytestmark = pytest.mark.jax

NOISES = [row_normal, row_uniform]


@functools.cache
def function_of(draw, shape, **kwargs):
    # Compiled, since an eager loop over hundreds of rows takes seconds.
    return compiled(types.SimpleNamespace(variables=[]), lambda s: draw(s, shape, **kwargs))


def noise_of(draw, seeds, shape=(5, 3), **kwargs):
    return ops.convert_to_numpy(
        function_of(draw, shape, **kwargs)(ops.convert_to_tensor(np.asarray(seeds, "int32")))
    )


@pytest.mark.parametrize("draw", NOISES)
def test_noise_of_a_row_depends_on_its_own_seed_alone(draw):
    together = noise_of(draw, [3, 1, 4, 1])
    np.testing.assert_array_equal(together[2], noise_of(draw, [4])[0])
    np.testing.assert_array_equal(together[[1, 0]], noise_of(draw, [1, 3]))
    np.testing.assert_array_equal(together[1], together[3])
    assert not np.isin(together[0], together[1]).any()


@pytest.mark.parametrize("draw", NOISES)
def test_noise_is_the_same_compiled_or_not(draw):
    seeds = np.arange(4, dtype="int32")
    np.testing.assert_array_equal(noise_of(draw, seeds), draw(seeds, (5, 3)))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="JAX always compiles with XLA")
@pytest.mark.parametrize("draw", NOISES)
def test_noise_is_the_same_under_xla(draw):
    import tensorflow as tf

    seeds = np.arange(50, dtype="int32")
    under_xla = tf.function(lambda s: draw(s, (40,)), jit_compile=True)(seeds)
    expected = noise_of(draw, seeds, (40,))
    # The bits are the same; the logarithms in the tails of a normal may differ in their last bit.
    np.testing.assert_allclose(under_xla, expected, rtol=0 if draw is row_uniform else 1e-6)


@pytest.mark.parametrize("draw", NOISES)
def test_another_salt_is_other_noise(draw):
    seeds = np.arange(300)
    first, second = (noise_of(draw, seeds, salt=salt).ravel() for salt in (0, 1))
    # 4500 pairs: the correlation of independent ones has a standard error of 0.015.
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.06


@pytest.mark.parametrize("draw", NOISES)
def test_rows_of_successive_seeds_are_independent(draw):
    noise = noise_of(draw, np.arange(301)).reshape(301, -1)
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.06


def test_noise_has_the_moments_of_its_distribution():
    normal = noise_of(row_normal, np.arange(300))
    uniform = noise_of(row_uniform, np.arange(300))
    assert normal.shape == uniform.shape == (300, 5, 3)
    assert abs(normal.mean()) < 0.06 and abs(normal.std() - 1) < 0.05
    assert abs((normal**4).mean() - 3) < 0.6
    assert uniform.min() >= 0 and uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.02 and abs(uniform.std() - 12**-0.5) < 0.01


def test_noise_is_finite_where_the_generator_ends():
    # Number 2,440,044 of seed 6 has the highest of the values that TensorFlow's uniform noise has.
    noise = noise_of(row_normal, [6], (2**22,))
    assert np.isfinite(noise).all() and 5 < noise.max() < 6 and -6 < noise.min() < -5


@pytest.mark.parametrize("draw", NOISES)
def test_noise_of_no_dimensions_is_empty(draw):
    assert noise_of(draw, [1, 2], (0,)).shape == (2, 0)

"""Noise that belongs to its row, seeds, and functions that see the current weights."""

import runpy

import keras
import numpy as np
import pytest
from keras import ops

from vlae_tf import backend
from vlae_tf.backend import compiled, tfd
from vlae_tf.noise import row_normal, row_uniform, step_seed
from vlae_tf.seeds import row_seeds

pytestmark = pytest.mark.jax

NOISES = [row_normal, row_uniform]


def noise_of(draw, seeds, shape=(5, 3), **kwargs):
    return ops.convert_to_numpy(draw(np.asarray(seeds, "int32"), shape, **kwargs))


def test_a_longer_batch_starts_with_the_seeds_of_a_shorter_one():
    np.testing.assert_array_equal(row_seeds(3, 100)[:7], row_seeds(3, 7))
    assert row_seeds(3, 7).dtype == np.int32 and row_seeds(3, 7).min() >= 0


def test_neighbouring_seeds_have_no_row_in_common():
    rows = np.concatenate([row_seeds(seed, 100) for seed in range(5)])
    assert len(set(rows.tolist())) == 500


def test_no_two_rows_have_the_same_seed():
    # The hash alone gives rows 938 and 1834 of seed 43 the same one.
    seeds = row_seeds(43, 100_000)
    assert len(np.unique(seeds)) == 100_000 and seeds.min() >= 0
    np.testing.assert_array_equal(row_seeds(43, 1900), seeds[:1900])
    assert seeds[1834] == seeds[938] + 1


@pytest.mark.parametrize("seeds", [[4, 5, 6], np.array([4, 5, 6]), np.array([4, 5, 6], "uint8")])
def test_seeds_of_rows_are_taken_as_they_are(seeds):
    np.testing.assert_array_equal(row_seeds(seeds, 3), [4, 5, 6])


@pytest.mark.parametrize(
    "seed",
    [-1, 1.0, "0", True, None, [1, 2], np.arange(3.0), np.ones((3, 1), int), [0, 1, 2**31]],
    ids=repr,
)
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match="`seed` must be .* each of the 3 rows. Received: seed="):
        row_seeds(seed, 3)


@pytest.mark.parametrize("draw", NOISES)
def test_noise_of_a_row_depends_on_its_own_seed_alone(draw):
    together = noise_of(draw, [3, 1, 4, 1])
    np.testing.assert_array_equal(together[2], noise_of(draw, [4])[0])
    np.testing.assert_array_equal(together[[1, 0]], noise_of(draw, [1, 3]))
    np.testing.assert_array_equal(together[1], together[3])
    assert not np.isin(together[0], together[1]).any()


@pytest.mark.skipif(backend.BACKEND != "tensorflow", reason="JAX always compiles with XLA")
@pytest.mark.parametrize("draw", NOISES)
def test_noise_is_the_same_under_xla(draw):
    import tensorflow as tf

    seeds = np.arange(50, dtype="int32")
    compiled = tf.function(lambda s: draw(s, (40,)), jit_compile=True)(seeds)
    expected = noise_of(draw, seeds, (40,))
    # The bits are the same; the logarithms in the tails of a normal may differ in their last bit.
    np.testing.assert_allclose(compiled, expected, rtol=0 if draw is row_uniform else 1e-6)


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


def test_step_seeds_of_equal_generators_are_equal_and_never_repeat():
    def samples():
        generator = keras.random.SeedGenerator(7)
        normal = tfd.Normal(0.0, 1.0)
        return [float(normal.sample(seed=step_seed(generator))) for _ in range(5)]

    assert samples() == samples()
    assert len(set(samples())) == 5


def test_compiled_function_sees_weights_assigned_later():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    function = compiled(model, lambda inputs: model(inputs))
    inputs = np.ones((3, 2), "float32")
    np.testing.assert_allclose(function(inputs), np.full((3, 1), 2))
    model.layers[0].kernel.assign([[3.0], [4.0]])
    np.testing.assert_allclose(function(inputs), np.full((3, 1), 7))


def test_another_backend_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ImportError, match="'tensorflow' or 'jax'.*KERAS_BACKEND='torch'"):
        runpy.run_path(backend.__file__)

"""The diagonal Gaussian against its formula in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import stateless_seed
from vlae_tf.distributions import DiagonalGaussian

pytestmark = pytest.mark.jax

RANDOM = np.random.default_rng(0)
LOC = RANDOM.normal(size=(3, 4)).astype("float32")
SCALE = RANDOM.uniform(0.2, 3.0, size=(3, 4)).astype("float32")
CODES = RANDOM.normal(size=(3, 4)).astype("float32")


def numpy_terms(codes):
    return -0.5 * ((codes - LOC) / SCALE) ** 2 - np.log(SCALE) - 0.5 * np.log(2 * np.pi)


def test_log_prob_and_its_terms():
    q = DiagonalGaussian(LOC, SCALE)
    np.testing.assert_allclose(q.log_prob_terms(CODES), numpy_terms(CODES), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(q.log_prob(CODES), numpy_terms(CODES).sum(-1), rtol=1e-5)


def test_noise_becomes_a_code_with_its_density():
    q = DiagonalGaussian(LOC, SCALE)
    codes, log_prob = q.from_noise_and_log_prob(CODES)
    np.testing.assert_allclose(codes, LOC + SCALE * CODES, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_prob, numpy_terms(LOC + SCALE * CODES).sum(-1), rtol=1e-5)
    np.testing.assert_array_equal(q.from_noise(np.zeros((3, 4), "float32")), LOC)


def test_samples_have_its_moments():
    q = DiagonalGaussian(LOC, SCALE)
    samples = np.asarray(q.sample(4000, seed=stateless_seed(0)))
    assert samples.shape == (4000, 3, 4)
    # Five standard errors.
    assert np.all(np.abs(samples.mean(0) - LOC) < 5 * SCALE / np.sqrt(4000))
    assert np.all(np.abs(samples.std(0) / SCALE - 1) < 5 / np.sqrt(8000))
    np.testing.assert_allclose(q.mean(), LOC)
    np.testing.assert_allclose(q.stddev(), SCALE, rtol=1e-6)
    one, same = (q.sample(2, seed=stateless_seed(3)) for _ in range(2))
    np.testing.assert_array_equal(one, same)


def test_log_prob_is_float32_whatever_the_parameters_are():
    loc, scale = (ops.cast(x, "bfloat16") for x in (LOC, SCALE))
    log_prob = DiagonalGaussian(loc, scale).log_prob(CODES)
    assert keras.backend.standardize_dtype(log_prob.dtype) == "float32"
    exact = DiagonalGaussian(ops.cast(loc, "float32"), ops.cast(scale, "float32"))
    np.testing.assert_array_equal(log_prob, exact.log_prob(CODES))


def test_rows_can_be_taken_out():
    q = DiagonalGaussian(LOC, SCALE)
    assert tuple(q.batch_shape) == (3,) and tuple(q.event_shape) == (4,)
    np.testing.assert_allclose(q[1:].log_prob(CODES[1:]), numpy_terms(CODES)[1:].sum(-1), rtol=1e-5)
    assert isinstance(q.copy(loc=LOC[:2], scale=SCALE[:2]), DiagonalGaussian)

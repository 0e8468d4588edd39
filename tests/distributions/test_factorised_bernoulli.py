"""The factorised Bernoulli likelihood against its formula in NumPy."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import stateless_seed
from vlae_tf.distributions import FactorisedBernoulli

# The warning is of TFP's JAX substrate, when it draws uniform numbers.
pytestmark = [
    pytest.mark.jax,
    pytest.mark.filterwarnings("ignore:shape requires ndarray:DeprecationWarning"),
]

LOGITS = np.random.default_rng(0).normal(0, 2, size=(3, 2, 2, 1)).astype("float32")
PROBABILITIES = 1 / (1 + np.exp(-LOGITS.astype("float64")))
IMAGES = np.array(list(itertools.product([0, 1], repeat=4)), "uint8").reshape(16, 1, 2, 2, 1)


def numpy_log_prob(images):
    return np.log(np.where(images == 1, PROBABILITIES, 1 - PROBABILITIES)).sum((-3, -2, -1))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "bool"])
def test_log_prob_of_every_image(dtype):
    log_prob = FactorisedBernoulli(LOGITS).log_prob(IMAGES.astype(dtype))
    np.testing.assert_allclose(log_prob, numpy_log_prob(IMAGES), rtol=1e-4)
    np.testing.assert_allclose(np.exp(log_prob).sum(0), 1.0, rtol=1e-5)


def test_mode_is_the_most_probable_image():
    likelihood = FactorisedBernoulli(LOGITS)
    best = IMAGES[numpy_log_prob(IMAGES).argmax(0), 0]
    np.testing.assert_array_equal(likelihood.mode(), best)
    np.testing.assert_array_equal(likelihood.from_noise(0.5), best)


def test_uniform_noise_becomes_pixels_with_their_probabilities():
    likelihood = FactorisedBernoulli(LOGITS)
    # Evenly spread noise gives each frequency to within one step.
    noise = np.linspace(0, 1, 1000, endpoint=False, dtype="float32")
    pixels = [np.asarray(likelihood.from_noise(u)) for u in noise]
    np.testing.assert_allclose(np.mean(pixels, 0), PROBABILITIES, atol=2e-3)
    assert set(np.unique(pixels)) == {0.0, 1.0}


def test_samples_have_its_means():
    likelihood = FactorisedBernoulli(LOGITS)
    samples = np.asarray(likelihood.sample(4000, seed=stateless_seed(0)))
    assert samples.shape == (4000, 3, 2, 2, 1) and samples.dtype == "float32"
    margin = 5 * np.sqrt(PROBABILITIES * (1 - PROBABILITIES) / 4000)
    assert np.all(np.abs(samples.mean(0) - PROBABILITIES) < margin)
    np.testing.assert_allclose(likelihood.mean(), PROBABILITIES, rtol=1e-5)


def test_log_prob_is_float32_whatever_the_logits_are():
    log_prob = FactorisedBernoulli(ops.cast(LOGITS, "bfloat16")).log_prob(IMAGES)
    assert keras.backend.standardize_dtype(log_prob.dtype) == "float32"


def test_extreme_logits_stay_finite():
    log_prob = FactorisedBernoulli(200.0 * np.sign(LOGITS)).log_prob(IMAGES)
    assert np.all(np.isfinite(log_prob))

"""The factorised logistic mixture: normalised, a product over pixels, and sampled as evaluated."""

import itertools

import numpy as np
import pytest

from tests.gradients import stateless_seed
from vlae_tf.distributions import DiscretisedLogisticMixture, FactorisedLogisticMixture

pytestmark = [
    pytest.mark.jax,
    pytest.mark.filterwarnings("ignore:shape requires ndarray:DeprecationWarning"),
]

LEVELS = 4


def likelihood_of(rows=2, shape=(1, 2, 2), levels=LEVELS, same=False):
    size = DiscretisedLogisticMixture.parameter_count(shape[-1], components=2)
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=(1 if same else rows, *shape[:2], size)).astype("float32")
    parameters = np.repeat(parameters, rows, axis=0) if same else parameters
    pixels = DiscretisedLogisticMixture.of_parameters(parameters, shape[-1], levels)
    return FactorisedLogisticMixture(pixels)


def all_images(shape):
    pixels = itertools.product(range(LEVELS), repeat=int(np.prod(shape)))
    return np.array(list(pixels), "float32").reshape(-1, *shape)


def test_sums_to_one_over_all_images():
    images = all_images((1, 2, 2))
    log_prob = np.asarray(likelihood_of(len(images), same=True).log_prob(images), "float64")
    assert log_prob.shape == (LEVELS**4,)
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)
    assert np.ptp(log_prob) > 1.0


def test_pixels_are_independent_and_channels_are_not():
    images = all_images((1, 2, 2))
    log_prob = np.asarray(likelihood_of(len(images), same=True).log_prob(images), "float64")
    joint = np.exp(log_prob).reshape(LEVELS**2, LEVELS**2)  # the first pixel, the second
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    np.testing.assert_allclose(joint, product, rtol=1e-3, atol=1e-9)
    channels = joint.sum(1).reshape(LEVELS, LEVELS)
    product = channels.sum(1, keepdims=True) * channels.sum(0, keepdims=True)
    assert np.abs(channels - product).max() > 0.01


def test_uniform_noise_becomes_images_with_their_probabilities():
    n, shape = 20000, (1, 1, 2)
    likelihood = likelihood_of(n, shape, same=True)
    assert likelihood.noise_shape == (1, 1, 3)
    noise = np.random.default_rng(2).uniform(size=(n, *likelihood.noise_shape)).astype("float32")
    drawn = np.asarray(likelihood.from_noise(noise))[:, 0, 0].astype(int)
    counts = np.bincount(drawn[:, 0] * LEVELS + drawn[:, 1], minlength=LEVELS**2)
    images = all_images(shape)
    expected = np.exp(np.asarray(likelihood_of(len(images), shape, same=True).log_prob(images)))
    margin = 5 * np.sqrt(expected * (1 - expected) / n) + 1e-3
    assert (np.abs(counts / n - expected) < margin).all()


def test_known_pixels_stay():
    likelihood = likelihood_of(2, (4, 4, 3), levels=256)
    noise = np.random.default_rng(3).uniform(size=(2, 4, 4, 4)).astype("float32")
    known = np.random.default_rng(4).integers(0, 256, (2, 4, 4, 3)).astype("float32")
    mask = np.broadcast_to(np.arange(4)[:, None, None] < 2, known.shape)
    completed = np.asarray(likelihood.from_noise(noise, known, mask))
    drawn = np.asarray(likelihood.from_noise(noise))
    np.testing.assert_array_equal(completed, np.where(mask, known, drawn))
    assert (drawn != known).mean() > 0.9


def test_samples_are_images():
    likelihood = likelihood_of(2, (4, 4, 3), levels=256)
    samples = np.asarray(likelihood.sample(5, seed=stateless_seed(0)))
    assert samples.shape == (5, 2, 4, 4, 3) and likelihood.log_prob(samples).shape == (5, 2)
    assert (samples == np.round(samples)).all() and 0 <= samples.min() and samples.max() <= 255

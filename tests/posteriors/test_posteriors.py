"""The posteriors one by one, beside what tests/test_every_part.py asks of all."""

import numpy as np
import pytest

from tests.gradients import randomise
from tests.tiny import numpy_of
from vlae_tf.posteriors import (
    FullGaussianPosterior,
    GaussianPosterior,
    IAFPosterior,
    PriorPosterior,
)
from vlae_tf.priors import FlowPrior


@pytest.mark.jax
def test_gaussian_posterior_starts_near_the_standard_normal():
    family = GaussianPosterior(3)
    parameters = family(np.zeros((2, 5), "float32"))
    np.testing.assert_allclose(numpy_of(parameters["loc"]), 0)
    np.testing.assert_allclose(numpy_of(parameters["scale"]), 1, atol=1e-3)


@pytest.mark.jax
def test_scale_of_a_posterior_is_positive_however_sure_it_is():
    family = randomise(GaussianPosterior(3), 0.3)
    scale = numpy_of(family(np.full((2, 5), -1e4, "float32"))["scale"])
    assert scale.min() > 0 and np.isfinite(scale).all()


@pytest.mark.jax
def test_every_dimension_of_an_iaf_sample_depends_on_the_image():
    family = IAFPosterior(3, steps=1, hidden_units=[8])
    features = np.random.default_rng(0).normal(size=(2, 5)).astype("float32")
    family(features)
    randomise(family, 0.3)
    codes = numpy_of(family.distribution(family(features)).from_noise(np.zeros((2, 3), "f")))
    assert (codes[0] != codes[1]).all()


@pytest.mark.jax
def test_a_posterior_that_is_the_prior_has_no_kl():
    family = PriorPosterior(3)
    q = family.distribution(family(np.ones((4, 5), "float32")))
    noise = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    code, log_prob = q.from_noise_and_log_prob(noise)
    np.testing.assert_array_equal(numpy_of(code), noise)
    np.testing.assert_allclose(
        numpy_of(log_prob), numpy_of(FlowPrior(3, steps=0)(noise)), rtol=1e-6
    )


@pytest.mark.jax
@pytest.mark.parametrize("size", [1, 3])
def test_full_gaussian_posterior_starts_as_the_diagonal_one(size):
    features = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    full, diagonal = FullGaussianPosterior(size), GaussianPosterior(size)
    full(features), diagonal(features)
    full._dense.set_weights(randomise(diagonal._dense).get_weights())
    noise = np.random.default_rng(1).normal(size=(4, size)).astype("float32")
    q, p = (family.distribution(family(features)) for family in (full, diagonal))
    np.testing.assert_allclose(numpy_of(q.from_noise(noise)), numpy_of(p.from_noise(noise)), 1e-5)
    np.testing.assert_allclose(numpy_of(q.spread()), numpy_of(p.spread()), rtol=1e-5)

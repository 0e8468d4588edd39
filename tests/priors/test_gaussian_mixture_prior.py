"""Clusters of codes: where k-means puts them, and what is read off a code."""

import keras
import numpy as np
import pytest
from scipy.stats import norm

from tests.tiny import numpy_of
from vlae_tf.priors import GaussianMixturePrior

pytestmark = pytest.mark.jax


def test_clusters_of_a_code_are_those_of_bayes_rule():
    prior = GaussianMixturePrior(3, components=[2, 3], rungs=[1, 2], scale=0.7)
    keras.utils.set_random_seed(1)
    code = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    found = [numpy_of(each) for each in prior.cluster_log_probs(code)]
    assert [each.shape for each in found] == [(5, 2), (5, 3)]
    for each, part, weights in zip(found, (code[:, :1], code[:, 1:]), prior._mixtures, strict=True):
        loc = numpy_of(weights["loc"])
        joint = norm.logpdf(part[:, None], loc, 0.7).sum(-1)
        expected = joint - np.log(np.exp(joint).sum(-1, keepdims=True))
        np.testing.assert_allclose(each, expected, rtol=1e-3, atol=1e-4)


def test_kmeans_finds_the_clusters_of_each_rung():
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 2, 300), rng.integers(0, 3, 300)
    code = np.stack([10.0 * low, 8.0 * high], axis=1) + 0.1 * rng.normal(size=(300, 2))
    prior = GaussianMixturePrior(2, components=[2, 3], rungs=[1, 1])
    prior.initialize_from_data(code.astype("float32"))
    first, second = (np.sort(numpy_of(w["loc"])[:, 0]) for w in prior._mixtures)
    np.testing.assert_allclose(first, [0, 10], atol=0.1)
    np.testing.assert_allclose(second, [0, 8, 16], atol=0.1)
    found = [numpy_of(each).argmax(-1) for each in prior.cluster_log_probs(code.astype("float32"))]
    for labels, clusters in zip((low, high), found, strict=True):
        assert len(set(zip(labels, clusters, strict=True))) == labels.max() + 1


def test_fitted_clusters_have_the_spread_and_the_share_of_their_codes():
    rng = np.random.default_rng(0)
    wide, narrow = rng.normal(-20, [2.0, 0.5], (150, 2)), rng.normal(20, 0.1, (50, 2))
    codes = np.concatenate([wide, narrow]).astype("float32")
    prior = GaussianMixturePrior(2, components=2, scale=1.0)
    prior.fit_clusters(codes)
    mixture = prior.distribution()
    order = np.argsort(numpy_of(mixture.components().center())[:, 0])
    scales = numpy_of(mixture.components().spread())[order]
    np.testing.assert_allclose(scales, [wide.std(axis=0), narrow.std(axis=0)], rtol=1e-3)
    np.testing.assert_allclose(numpy_of(mixture.weights())[order], [151 / 202, 51 / 202], rtol=1e-4)


@pytest.mark.filterwarnings("ignore:One of the clusters is empty")
def test_fitted_clusters_of_one_code_have_a_spread():
    prior = GaussianMixturePrior(1, components=4)
    prior.fit_clusters(np.array([[0.0], [1.0], [5.0], [9.0]], "float32"))
    assert (numpy_of(prior.distribution().components().spread()) >= 0.0099).all()


@pytest.mark.parametrize(
    "codes", [np.zeros((4, 2)), np.zeros((9, 3)), np.full((9, 2), np.nan), np.zeros(9)]
)
def test_codes_that_cannot_be_clustered_are_refused(codes):
    prior = GaussianMixturePrior(2, components=5)
    with pytest.raises(ValueError, match=r"`codes` must be finite .*\(n, 2\), .* at least 5.*Rece"):
        prior.initialize_from_data(codes)


@pytest.mark.parametrize("components", [0, -1, 2.5, True, [2], [2, 0], [2, 3, 4]])
def test_invalid_components_are_refused(components):
    with pytest.raises(ValueError, match="`components` must be .* Received"):
        GaussianMixturePrior(3, components, rungs=[1, 2])


@pytest.mark.parametrize("rungs", [[], [3, 1], [1], [0, 3], 3, [1.5, 1.5]])
def test_rungs_that_do_not_add_up_are_refused(rungs):
    with pytest.raises(ValueError, match="`rungs` must be .* Received"):
        GaussianMixturePrior(3, 2, rungs=rungs)


def test_a_first_deviation_is_the_one_asked_for():
    for scale in (2e-4, 0.01, 0.1, 2.0, 800.0):
        prior = GaussianMixturePrior(1, 1, scale=scale)
        assert float(prior.distribution().spread()[0]) == pytest.approx(scale, rel=1e-3)


@pytest.mark.parametrize("arguments", [{"scale": 1e-4}, {"scale": 0}, {"seed": None}, {"seed": -1}])
def test_other_invalid_arguments_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        GaussianMixturePrior(2, **arguments)

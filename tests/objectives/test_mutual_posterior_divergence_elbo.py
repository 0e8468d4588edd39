"""Mutual divergence by products of matrices, against every pair written out."""

import numpy as np
import pytest
from keras import ops

from tests.gradients import gradient
from tests.outside import MyFullGaussianPosterior
from tests.tiny import numpy_of, tiny_model
from vlae_tf.objectives import ELBO, MutualPosteriorDivergenceELBO
from vlae_tf.objectives.mutual_posterior_divergence_elbo import mutual_divergence
from vlae_tf.posteriors import IAFPosterior

pytestmark = pytest.mark.jax
RANDOM = np.random.default_rng(0)
LOC = RANDOM.normal(size=(7, 3)).astype("float32")
SCALE = RANDOM.uniform(0.4, 1.5, size=(7, 3)).astype("float32")


def direct(loc, scale):
    """KL(q_i || q_j) by dimension for every ordered pair with i != j, `(pairs, d)`."""
    loc, variance = loc.astype("float64"), scale.astype("float64") ** 2
    i, j = np.nonzero(~np.eye(len(loc), dtype=bool))
    ratio = variance[i] / variance[j]
    return 0.5 * (ratio + (loc[i] - loc[j]) ** 2 / variance[j] - np.log(ratio) - 1)


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_it_is_that_of_every_pair(shift):
    pairs = direct(LOC, SCALE)
    by_dimension, mean, deviation = (
        numpy_of(value)
        for value in mutual_divergence(
            ops.convert_to_tensor(LOC + np.float32(shift)), ops.convert_to_tensor(SCALE)
        )
    )
    np.testing.assert_allclose(by_dimension, pairs.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(mean, pairs.sum(axis=1).mean(), rtol=1e-4)
    np.testing.assert_allclose(deviation, pairs.sum(axis=1).std(ddof=1), rtol=1e-4)


def test_equal_posteriors_have_no_divergence_and_a_finite_gradient():
    same = np.zeros((4, 2), "float32")

    def deviation(loc):
        return mutual_divergence(loc, ops.ones((4, 2)))[2]

    by_dimension, mean, _ = mutual_divergence(ops.convert_to_tensor(same), ops.ones((4, 2)))
    assert np.abs(numpy_of(by_dimension)).max() < 1e-6 and abs(float(mean)) < 1e-6
    assert np.isfinite(gradient(deviation, same)).all()


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_one_image_has_no_pairs_and_a_finite_loss(eta):
    model = tiny_model((2, 3, 1), 2, objective=MutualPosteriorDivergenceELBO(eta, 0.1))
    terms = model.objective(np.ones((1, 2, 3, 1), "float32"), model=model, training=True)
    assert all(np.isfinite(numpy_of(value)).all() for value in terms.values())
    assert float(terms["mpd_mean"]) == 0


def test_a_tiny_scale_leaves_it_finite():
    scale = SCALE.copy()
    scale[0] = 1e-12
    values = mutual_divergence(ops.convert_to_tensor(LOC), ops.convert_to_tensor(scale))
    assert all(np.isfinite(numpy_of(value)).all() for value in values)


def test_the_loss_rewards_the_mean_and_punishes_the_deviation():
    images = np.zeros((5, 2, 3, 1), "float32")
    images[:, 0, 0, 0] = [0, 1, 0, 1, 1]
    found = {}
    for name, objective in {
        "elbo": ELBO(),
        "none": MutualPosteriorDivergenceELBO(0.0, 0.0),
        "eta": MutualPosteriorDivergenceELBO(2.0, 0.0),
        "gamma": MutualPosteriorDivergenceELBO(0.0, 3.0),
    }.items():
        model = tiny_model((2, 3, 1), 2, objective=objective)
        model.posterior_family.set_weights([0.5 * np.ones((8, 4)), np.zeros(4)])
        if "weights" in found:
            model.set_weights(found["weights"])
        else:
            found["weights"] = model.get_weights()
        terms = model.objective(images, model=model, training=True)
        found[name] = {key: numpy_of(value) for key, value in terms.items()}
        posterior = model.posterior(images)
    assert found["none"]["loss"] == pytest.approx(found["elbo"]["loss"], rel=1e-6)
    pairs = direct(numpy_of(posterior.center()), numpy_of(posterior.spread()))
    reward = -2.0 * np.sum(np.log(1 / (1 + np.exp(-pairs.mean(axis=0)))))
    expected = float(found["none"]["loss"]) + reward
    assert float(found["eta"]["loss"]) == pytest.approx(expected, rel=1e-4)
    deviation = pairs.sum(axis=1).std(ddof=1)
    expected = float(found["none"]["loss"]) + 3.0 * deviation
    assert float(found["gamma"]["loss"]) == pytest.approx(expected, rel=1e-4)
    assert float(found["gamma"]["mpd_std"]) == pytest.approx(deviation, rel=1e-3)


def test_of_a_flow_the_gaussian_before_it_counts_and_others_are_refused():
    objective = MutualPosteriorDivergenceELBO()
    flow = IAFPosterior(2, steps=1, hidden_units=[4], context_size=2)
    tiny_model((2, 3, 1), 2, posterior_family=flow, objective=objective)
    with pytest.raises(ValueError, match="needs a diagonal Gaussian posterior.*Received: "):
        full = MyFullGaussianPosterior(2)
        tiny_model((2, 3, 1), 2, posterior_family=full, objective=objective)


@pytest.mark.parametrize("name", ["eta", "gamma"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), True, "1"])
def test_invalid_weights_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be a finite number, at least 0"):
        MutualPosteriorDivergenceELBO(**{name: value})

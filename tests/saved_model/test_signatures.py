"""The mathematics of the signatures, against integrals and closed forms."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

from tests import served
from tests.tiny import tiny_control
from vlae_tf.posteriors import IAFPosterior
from vlae_tf.priors import FlowPrior, GaussianMixturePrior, SpatialFlowPrior
from vlae_tf.saved_model.png_signatures import PNGSignatures
from vlae_tf.saved_model.signatures import Signatures

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 2, (4, 8, 8, 1)).astype("uint8")
ALL_2X2 = np.array(list(itertools.product((0, 1), repeat=4)), "uint8").reshape(16, 2, 2, 1)
SEEDS = tf.constant([0, 1, 2, 3])


def bring_posterior_near_standard_normal(model):
    """Where a few draws say a lot."""
    for weight in model.posterior_family.trainable_weights:
        weight.assign(0.2 * weight)


def test_log_prob_converges_to_the_integral_over_the_code():
    model = served.build(image_shape=(2, 2, 1), latent_dim=1)
    bring_posterior_near_standard_normal(model)
    step = 0.05
    grid = np.arange(-10.0, 10.0, step, dtype="float32")[:, None]
    likelihood = [
        model.likelihood(grid).log_prob(np.repeat(image[None], len(grid), 0)) for image in ALL_2X2
    ]
    prior = model.prior().log_prob(grid).numpy() + math.log(step)
    exact = logsumexp(np.array(likelihood) + prior, axis=1)
    assert logsumexp(exact) == pytest.approx(0.0, abs=1e-3), "the grid must hold the prior"
    log_prob = tf.function(Signatures(model, importance_samples=1000).log_prob)
    answer = log_prob(image=tf.constant(ALL_2X2), seed=tf.range(16))
    np.testing.assert_allclose(answer["log_prob"], exact, atol=0.03)
    # The bound with one code is looser, so the tolerance tells the two apart.
    assert np.mean(exact - answer["elbo"]) > 0.04


def test_code_bits_are_the_closed_form_under_a_gaussian_prior():
    model = served.build(prior_family=FlowPrior(4, steps=0))
    answer = Signatures(model, importance_samples=1).encode(tf.constant(IMAGES))
    code, scale = answer["code"].numpy(), answer["scale"].numpy()
    nats = 0.5 * np.sum(code**2 + scale**2 - 1 - 2 * np.log(scale), axis=1)
    np.testing.assert_allclose(answer["code_bits"], nats / math.log(2), rtol=1e-4)


@pytest.mark.parametrize("spatial", [False, True])
def test_code_bits_agree_with_random_draws_under_a_flow_prior(spatial):
    prior = {"prior_family": SpatialFlowPrior((2, 2, 1), steps=2, filters=4)} if spatial else {}
    model = served.build(**prior)
    answer = Signatures(model, importance_samples=1).encode(tf.constant(IMAGES))
    posterior = model.posterior(IMAGES)
    codes = posterior.sample(4000, seed=0)
    bits = (posterior.log_prob(codes) - model.prior().log_prob(codes)).numpy() / math.log(2)
    error = bits.std(axis=0) / math.sqrt(64)
    assert (np.abs(answer["code_bits"] - bits.mean(axis=0)) < 3 * error).all()


def test_without_a_code_log_prob_is_exact_and_sums_to_one():
    signatures = Signatures(served.moved(tiny_control((2, 2, 1))), importance_samples=2)
    answer = signatures.log_prob(tf.constant(ALL_2X2), tf.range(16))
    assert logsumexp(answer["log_prob"]) == pytest.approx(0.0, abs=1e-4)
    np.testing.assert_allclose(answer["log_prob"], answer["elbo"], rtol=1e-5)
    np.testing.assert_array_equal(
        signatures.encode(tf.constant(ALL_2X2))["code_bits"], np.zeros(16)
    )


def test_cluster_of_a_row_that_has_no_answer_is_none_of_them():
    model = served.build(prior_family=GaussianMixturePrior(4, [2, 3], rungs=[1, 3], scale=0.5))
    signatures = Signatures(model, importance_samples=1)
    images = IMAGES.copy()
    images[1, 0, 0] = 7
    answer = signatures.encode(tf.constant(images))
    right = [0, 2, 3]
    here = model(images[right])
    for name in ("cluster", "cluster_probability"):
        np.testing.assert_allclose(answer[name].numpy()[right], here[name], rtol=1e-5)
    assert answer["cluster"].dtype == tf.int32 and answer["cluster"][1].numpy().tolist() == [-1, -1]
    assert np.isnan(answer["cluster_probability"][1]).all()
    # The same where a picture cannot be read.
    pictures = PNGSignatures({"encode": signatures.encode}, model.image_shape)
    png = tf.io.encode_png(255 * IMAGES[0]).numpy()
    answer = pictures.call("encode", image_bytes=tf.constant([png, b"no picture"]))
    np.testing.assert_array_equal(answer["cluster"], [here["cluster"][0], [-1, -1]])
    assert np.isnan(answer["code"][1]).all() and np.isnan(answer["cluster_probability"][1]).all()


def test_posterior_that_is_a_flow_is_served_too():
    model = served.build(
        posterior_family=IAFPosterior(4, steps=2, hidden_units=[8], context_size=3)
    )
    bring_posterior_near_standard_normal(model)
    signatures = Signatures(model, importance_samples=64)
    encoding = tf.function(signatures.encode)(image=tf.constant(IMAGES))
    np.testing.assert_allclose(encoding["code"], model.encode(IMAGES), rtol=1e-5, atol=1e-5)
    posterior = model.posterior(IMAGES)
    codes = posterior.sample(2000, seed=0)
    bits = (posterior.log_prob(codes) - model.prior().log_prob(codes)).numpy() / math.log(2)
    error = bits.std(axis=0) / math.sqrt(64)
    assert (np.abs(encoding["code_bits"] - bits.mean(axis=0)) < 4 * error).all()
    answer = tf.function(signatures.log_prob)(image=tf.constant(IMAGES), seed=SEEDS)
    assert (answer["elbo"] < answer["log_prob"]).numpy().all()


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("encode", ["image"]),
        ("decode", ["code", "seed"]),
        ("reconstruct", ["image", "seed"]),
        ("sample", ["seed", "temperature"]),
        ("log_prob", ["image", "seed"]),
        ("about", ["seed"]),
    ],
)
def test_no_rows_are_refused_in_one_sentence(signatures_of_the_model, name, taken):
    empty = {
        "image": tf.zeros((0, 8, 8, 1), tf.uint8),
        "code": tf.zeros((0, 4)),
        "seed": tf.zeros((0,), tf.int32),
        "temperature": tf.zeros((0,)),
    }
    with pytest.raises(tf.errors.InvalidArgumentError, match="Inputs must have at least one row"):
        signatures_of_the_model[name](**{key: empty[key] for key in taken})


def test_a_temperature_without_end_is_answered_by_nan(signatures_of_the_model):
    temperature = tf.constant([1.0, math.inf, math.nan, -1.0])
    answer = signatures_of_the_model["sample"](seed=SEEDS, temperature=temperature)
    bad = np.isnan(answer["code"]).all(axis=1)
    np.testing.assert_array_equal(bad, [False, True, True, True])
    assert not answer["image"].numpy()[bad].any()


@pytest.fixture(scope="module")
def signatures_of_the_model():
    _, concrete = Signatures(served.build(), importance_samples=1).functions()
    return concrete

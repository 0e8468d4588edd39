"""The importance-weighted bound and its gradients, against quadrature, an exact posterior and TFP.

The model is linear and Gaussian, so that log p(x) and the posterior are known: z ~ N(0, 1),
x | z ~ N(slope z, 1).
"""

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import gradient, randomise, weight_gradients
from tests.tiny import numpy_of, tiny_model
from vlae_tf.backend import tfd
from vlae_tf.distributions import DiagonalGaussian
from vlae_tf.objectives import ImportanceWeightedELBO
from vlae_tf.posteriors import IAFPosterior
from vlae_tf.priors import FlowPrior

pytestmark = pytest.mark.jax
X, SLOPE = 1.5, 0.8
EXACT = -0.5 * np.log(2 * np.pi * (1 + SLOPE**2)) - X**2 / (2 * (1 + SLOPE**2))
POSTERIOR = SLOPE * X / (1 + SLOPE**2), (1 + SLOPE**2) ** -0.5
LOC, LOG_SCALE = 0.2, 0.3
K = 3


class LinearGaussian:
    """What an objective needs of a model, for `rows` equal images of one pixel."""

    latent_dim = 1

    def __init__(self, rows, loc=LOC, log_scale=LOG_SCALE, slope=SLOPE):
        ones = ops.ones((rows, 1))
        self._posterior = DiagonalGaussian(ones * loc, ones * ops.exp(log_scale))
        self._slope = slope

    def posterior(self, images, training=False):
        return self._posterior

    def prior(self):
        return FlowPrior(1, steps=0).distribution()

    def likelihood(self, code, training=False):
        mean = ops.reshape(self._slope * code, (-1, 1, 1, 1))
        return tfd.Independent(tfd.Normal(mean, 1.0), 3)


def images_of(rows):
    return np.full((rows, 1, 1, 1), X, "float32")


def terms(rows, samples=K, training=False, estimator="iwae", seed=0, **parameters):
    objective = ImportanceWeightedELBO(samples, estimator, seed=seed)
    return objective(images_of(rows), model=LinearGaussian(rows, **parameters), training=training)


def gradients(rows, estimator, samples=K, loc=LOC, log_scale=LOG_SCALE, slope=SLOPE):
    """Of the loss, by loc, log scale and slope."""

    def loss(values):
        given = {"loc": values[0], "log_scale": values[1], "slope": values[2]}
        return terms(rows, samples, True, estimator, **given)["loss"]

    return gradient(loss, [loc, log_scale, slope])


def expected_loss(loc, log_scale, slope=SLOPE):
    """-E log 1/K sum_k w_k by Gauss-Hermite quadrature over the noise of K codes."""
    nodes, shares = np.polynomial.hermite_e.hermegauss(40)
    shares = shares / shares.sum()
    z = loc + np.exp(log_scale) * nodes
    log_w = -0.5 * (X - slope * z) ** 2 - 0.5 * np.log(2 * np.pi) - 0.5 * z**2
    log_w = log_w + 0.5 * nodes**2 + log_scale
    axes = np.meshgrid(*[np.exp(log_w)] * K, indexing="ij")
    weights = np.einsum("i,j,k->ijk", shares, shares, shares)
    return -np.sum(weights * np.log(sum(axes) / K))


def test_the_bound_lies_between_the_elbo_and_the_likelihood_and_is_unbiased_as_an_exponential():
    found = {name: numpy_of(value) for name, value in terms(20_000).items()}
    ratio = np.exp(found["bound"] - EXACT)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio))
    assert found["elbo"].mean() + 0.05 < found["bound"].mean() < EXACT
    np.testing.assert_allclose(-found["loss"], found["bound"].mean(), rtol=1e-5)
    standard_error = found["bound"].std() / np.sqrt(len(ratio))
    assert abs(found["bound"].mean() + expected_loss(LOC, LOG_SCALE)) < 4 * standard_error
    np.testing.assert_allclose(
        found["elbo"], found["reconstruction"] - found["kl"], rtol=1e-4, atol=1e-5
    )


def test_one_sample_gives_the_elbo():
    found = terms(50, samples=1)
    np.testing.assert_allclose(numpy_of(found["bound"]), numpy_of(found["elbo"]), rtol=1e-5)


@pytest.mark.parametrize("estimator", ["iwae", "dreg"])
def test_gradients_are_those_of_the_expected_bound(estimator):
    h = 1e-4
    exact = [
        (expected_loss(*(at + h * step)) - expected_loss(*(at - h * step))) / (2 * h)
        for at in [np.array([LOC, LOG_SCALE, SLOPE])]
        for step in np.eye(3)
    ]
    np.testing.assert_allclose(gradients(200_000, estimator), exact, atol=0.006)


@pytest.mark.parametrize("estimator", ["dreg", "stl"])
def test_the_decoder_has_the_plain_gradient_at_the_same_codes(estimator):
    plain, other = (gradients(100, name) for name in ("iwae", estimator))
    np.testing.assert_allclose(other[2], plain[2], rtol=1e-4, atol=1e-5)
    # The encoder has another one.
    assert abs(other[0] - plain[0]) > 1e-3


@pytest.mark.parametrize("estimator", ["dreg", "stl"])
def test_at_the_exact_posterior_the_encoder_has_no_gradient_and_no_noise(estimator):
    exact = {"loc": POSTERIOR[0], "log_scale": np.log(POSTERIOR[1])}
    assert np.abs(gradients(7, estimator, **exact)[:2]).max() < 1e-5
    assert np.abs(gradients(7, "iwae", **exact)[:2]).max() > 1e-3


def test_stl_is_biased_above_one_sample_alone():
    one = [gradients(200_000, name, samples=1)[0] for name in ("iwae", "stl")]
    assert abs(one[0] - one[1]) < 0.01
    several = [gradients(200_000, name)[0] for name in ("iwae", "stl")]
    assert abs(several[0] - several[1]) > 0.05


def test_dreg_has_less_noise_than_the_plain_gradient():
    spread = {
        name: np.std([gradients_at(seed, name) for seed in range(30)]) for name in ("iwae", "dreg")
    }
    assert spread["dreg"] < 0.7 * spread["iwae"]


def gradients_at(seed, estimator):
    def loss(loc):
        return terms(20, 50, True, estimator, seed=seed, loc=loc)["loss"]

    return gradient(loss, LOC)


@pytest.mark.parametrize("estimator", ["iwae", "dreg"])
def test_the_encoder_has_the_gradient_of_tfp(estimator):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TFP's function is compared on TensorFlow")
    import tensorflow_probability as tfp

    rows = 5
    noise = keras.random.normal((K, rows, 1), seed=keras.random.SeedGenerator(0))

    class Same(DiagonalGaussian):
        """The codes that the objective draws."""

        def sample(self, *args, **kwargs):
            return self.from_noise(noise)

        def experimental_sample_and_log_prob(self, *args, **kwargs):
            return self.from_noise_and_log_prob(noise)

    gradient_estimators = tfp.vi.GradientEstimators

    def loss(values):
        model = LinearGaussian(rows)
        ones = ops.ones((rows, 1))
        surrogate = Same(ones * values[0], ones * ops.exp(values[1]))

        def target(code):
            images = np.full((K * rows, 1, 1, 1), X, "float32")
            rows_of_code = ops.reshape(code, (-1, 1))
            log_prob = model.likelihood(rows_of_code).log_prob(images)
            return ops.reshape(log_prob, (K, rows)) + model.prior().log_prob(code)

        each = tfp.vi.monte_carlo_variational_loss(
            target,
            surrogate,
            importance_sample_size=K,
            gradient_estimator=gradient_estimators.DOUBLY_REPARAMETERIZED
            if estimator == "dreg"
            else gradient_estimators.REPARAMETERIZATION,
            stopped_surrogate_posterior=surrogate.detached(),
        )
        return ops.mean(each)

    expected = gradient(loss, [LOC, LOG_SCALE])
    np.testing.assert_allclose(gradients(rows, estimator)[:2], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("estimator", ["iwae", "dreg", "stl"])
def test_chunks_change_neither_value_nor_gradient(estimator):
    images = np.random.default_rng(0).integers(0, 2, (3, 2, 3, 1)).astype("float32")

    def found(chunk):
        objective = ImportanceWeightedELBO(4, estimator, chunk)
        model = randomise(tiny_model((2, 3, 1), 2, objective=objective))
        start = numpy_of(objective.seed_generator.state.value)

        def terms_of():
            return objective(images, model=model, training=True)

        slopes = weight_gradients(model, lambda: terms_of()["loss"])
        objective.seed_generator.state.assign(start)
        values = terms_of()
        return {name: numpy_of(value) for name, value in values.items()}, list(slopes.values())

    values, slopes = found(None)
    for chunk in (1, 2):
        others, other_slopes = found(chunk)
        for name, value in values.items():
            np.testing.assert_allclose(others[name], value, rtol=1e-5, atol=1e-5)
        for one, other in zip(slopes, other_slopes, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
    assert sum(np.abs(slope).max() > 1e-3 for slope in slopes) > len(slopes) / 2


def test_a_model_with_chunks_trains_compiled():
    images = np.random.default_rng(0).integers(0, 2, (6, 2, 3, 1)).astype("uint8")

    def weights(chunk):
        objective = ImportanceWeightedELBO(4, "dreg", chunk)
        model = randomise(tiny_model((2, 3, 1), 2, objective=objective))
        model.compile(keras.optimizers.SGD(0.01))
        model.fit(images, batch_size=3, epochs=1, shuffle=False, verbose=0)
        return model.get_weights()

    for one, other in zip(weights(None), weights(2), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunk", [0, 3, 8, 1.5, True])
def test_chunks_that_do_not_divide_the_samples_are_refused(chunk):
    with pytest.raises(ValueError, match=f"`chunk` must be .* Received: chunk={chunk}"):
        ImportanceWeightedELBO(4, chunk=chunk)


def test_chunks_refuse_networks_that_draw_noise():
    with pytest.raises(ValueError, match="`chunk` decodes again .* `decoder` must draw no noise"):
        tiny_model((2, 3, 1), 2, dropout=0.5, objective=ImportanceWeightedELBO(4, chunk=2))


@pytest.mark.parametrize("samples", [0, -1, 1.5, True, None])
def test_invalid_samples_are_refused(samples):
    with pytest.raises(ValueError, match="`samples` must be an integer, at least 1. Received"):
        ImportanceWeightedELBO(samples)


def test_an_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match="`estimator` must be one of 'iwae', 'dreg', 'stl'. Rec"):
        ImportanceWeightedELBO(5, "vimco")


@pytest.mark.parametrize("estimator", ["dreg", "stl"])
def test_a_posterior_that_cannot_be_held_constant_is_refused_when_the_model_is_built(estimator):
    options = {"posterior_family": IAFPosterior(2, steps=1, hidden_units=[4], context_size=2)}
    with pytest.raises(ValueError, match=f"`estimator` '{estimator}' holds .* constant"):
        tiny_model((2, 3, 1), 2, objective=ImportanceWeightedELBO(3, estimator), **options)
    tiny_model((2, 3, 1), 2, objective=ImportanceWeightedELBO(3), **options)

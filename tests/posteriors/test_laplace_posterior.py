"""The Laplace posterior against exact posteriors and Hessians, and on decoders of any kind."""

import types

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import jacobian, randomise, weight_gradients
from tests.systems import fully_connected
from tests.tiny import numpy_of, random_images, tiny_model
from vlae_tf.likelihoods import (
    BernoulliLikelihood,
    FactorisedLogisticMixtureLikelihood,
    GaussianLikelihood,
)
from vlae_tf.networks import MLPDecoder, ResNetDecoder
from vlae_tf.posteriors import LaplacePosterior
from vlae_tf.priors import FlowPrior

pytestmark = pytest.mark.jax
SHAPE, SIZE, ROWS = (2, 3, 1), 2, 5


def model_with(posterior, likelihood, activation="relu", **parts):
    parts = {
        "decoder": MLPDecoder(SHAPE, units=[5], activation=activation),
        "likelihood_family": likelihood(SHAPE, projection=False),
    } | parts
    parts = fully_connected(posterior_family=posterior, **parts)
    return randomise(tiny_model(SHAPE, SIZE, **parts), 0.4)


def codes(seed=0, size=SIZE):
    return np.random.default_rng(seed).normal(size=(ROWS, size)).astype("float32")


def refined(model, images, start):
    """Mean and precision in float64 where the posterior ends that starts at these codes."""
    family = model.posterior_family
    parameters = {"loc": ops.convert_to_tensor(start), "precision_cholesky": None}
    parameters = family.refine(parameters, images.astype("float32"), model)
    loc, factor = (numpy_of(parameters[n]).astype("float64") for n in parameters)
    return loc, factor @ factor.transpose(0, 2, 1)


# === A linear decoder: probabilistic PCA ===


def linear_model(**options):
    model = model_with(LaplacePosterior(SIZE, **options), GaussianLikelihood, "linear")
    model.likelihood_family._log_variance.assign(-3.0)
    return model


def exact(model, images):
    """Mean and precision of p(z | x), mean and covariance of p(x), all in units of intensity."""
    kernels = [layer.kernel for layer in (*model.decoder._stack, model.decoder._last)]
    first, last = (numpy_of(kernel).astype("float64") for kernel in kernels)
    bias = numpy_of(model.likelihood(np.zeros((1, SIZE), "float32")).distribution.loc) / 255
    variance, slope = np.exp(-3.0), first @ last
    precision = np.eye(SIZE) + slope @ slope.T / variance
    x = images.reshape(len(images), -1) / 255 - bias.reshape(1, -1)
    mean = np.linalg.solve(precision, slope @ x.T / variance).T
    return mean, precision, x, slope.T @ slope + variance * np.eye(6)


def test_a_whole_step_of_a_linear_decoder_is_the_exact_posterior():
    model, images = linear_model(steps=1, rate=1.0), random_images(ROWS, SHAPE, 256)
    mean, precision, *_ = exact(model, images)
    found = refined(model, images, codes())
    np.testing.assert_allclose(found[0], mean, atol=1e-5)
    np.testing.assert_allclose(found[1], np.broadcast_to(precision, found[1].shape), rtol=1e-5)


def test_every_code_of_the_exact_posterior_has_the_same_weight():
    """log w = log p(x) wherever the code is: the ELBO is the likelihood itself."""
    from vlae_tf.objectives import log_weights

    model, images = linear_model(steps=1, rate=1.0), random_images(ROWS, SHAPE, 256)
    _, _, x, covariance = exact(model, images)
    noise = np.stack([codes(seed) for seed in range(4)])
    log_w = numpy_of(log_weights(model, images.astype("float32"), noise).log_w)
    square = np.einsum("ni,ij,nj->n", x, np.linalg.inv(covariance), x)
    log_det = np.linalg.slogdet(2 * np.pi * covariance)[1]
    expected = -0.5 * (square + log_det) - 6 * np.log(255)
    np.testing.assert_allclose(log_w, np.broadcast_to(expected, log_w.shape), atol=2e-4)


@pytest.mark.parametrize(("steps", "left"), [(0, 1.0), (1, 0.5), (2, 0.375), (4, 0.2734375)])
def test_damped_steps_leave_a_part_of_the_encoders_error(steps, left):
    model, images = linear_model(steps=steps), random_images(ROWS, SHAPE, 256)
    mean = exact(model, images)[0]
    error = refined(model, images, codes())[0] - mean
    np.testing.assert_allclose(error, left * (codes() - mean), atol=1e-5)


# === Decoders with kinks ===


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_precision_is_minus_the_hessian(activation):
    model = model_with(LaplacePosterior(SIZE, steps=0), BernoulliLikelihood, activation)
    images, start = random_images(ROWS, SHAPE), codes()
    (first, b), (last, c) = (
        (numpy_of(layer.kernel).astype("float64"), numpy_of(layer.bias).astype("float64"))
        for layer in (*model.decoder._stack, model.decoder._last)
    )
    c = c + numpy_of(model.likelihood_family._bias).ravel()
    below = {"relu": 0.0, "leaky_relu": 0.2}[activation]

    def log_joint(z):
        h = z @ first + b
        logits = np.where(h > 0, h, below * h) @ last + c
        terms = images.reshape(ROWS, -1) * logits - np.logaddexp(0, logits)
        return terms.sum(-1) - 0.5 * np.square(z).sum(-1)

    step, z = 1e-4, start.astype("float64")
    hessian = np.zeros((ROWS, SIZE, SIZE))
    for i, j in np.ndindex(SIZE, SIZE):
        a, e = step * np.eye(SIZE)[[i, j]]
        signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
        terms = [s * t * log_joint(z + s * a + t * e) for s, t in signs]
        hessian[:, i, j] = sum(terms) / (4 * step**2)
    loc, precision = refined(model, images, start)
    np.testing.assert_array_equal(loc.astype("float32"), start)
    np.testing.assert_allclose(precision, -hessian, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "linear"])
@pytest.mark.parametrize("options", [{}, {"weight_norm": True}, {"code_size": 2}], ids=str)
def test_jacobian_is_that_of_the_decoder(activation, options):
    decoder = MLPDecoder(SHAPE, 2, units=[7, 5], activation=activation, **options)
    decoder.build((None, 3))
    randomise(decoder)
    rows = codes(size=3)
    found = numpy_of(decoder.jacobian(ops.convert_to_tensor(rows)))
    assert found.shape == (ROWS, 3, 2, 3, 2)
    for row, values in zip(rows, found, strict=True):
        expected = np.moveaxis(jacobian(decoder, row), -1, 0)
        np.testing.assert_allclose(values, expected, atol=1e-6)


@pytest.mark.parametrize("likelihood", [BernoulliLikelihood, GaussianLikelihood])
@pytest.mark.parametrize("projection", [True, False])
def test_derivatives_are_those_of_the_likelihood(likelihood, projection):
    family = likelihood((2, 3, 2), projection=projection)
    family.build((None, 2, 3, 2))
    randomise(family)
    maps = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    image = random_images(1, (2, 3, 2), family.levels).astype("float32")

    def slope(maps):
        residual, _ = family.residual_and_weight(family(maps), image)
        return residual

    def log_prob(maps):
        images = ops.broadcast_to(image, ops.shape(maps))
        return family.distribution(maps).log_prob(images)[:, None]

    outputs = jacobian(family, maps)
    residual, weight = (
        numpy_of(t)[0] for t in family.residual_and_weight(family(maps[None]), image)
    )
    np.testing.assert_allclose(
        jacobian(log_prob, maps)[0], np.tensordot(residual, outputs, 3), rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(
        jacobian(slope, maps), -weight[..., None, None, None] * outputs, rtol=1e-4, atol=1e-4
    )
    tangents = np.moveaxis(outputs.reshape(2, 3, 2, -1), -1, 0)
    units = np.eye(12, dtype="float32").reshape(1, 12, 2, 3, 2)
    np.testing.assert_allclose(numpy_of(family.outputs_jacobian(units))[0], tangents, atol=1e-6)


@pytest.mark.parametrize("likelihood", [BernoulliLikelihood, GaussianLikelihood])
def test_ten_thousand_random_decoders_have_a_posterior(likelihood):
    """Flat and steep ones, some of them blind to all numbers of the code but one."""
    rows, size, random = 10_000, 4, np.random.default_rng(0)
    steep = 10.0 ** random.uniform(-4, 6, (rows, 1, 1, 1, 1))
    slopes = random.normal(size=(rows, size, *SHAPE))
    slopes[::2] = random.normal(size=(rows // 2, size, 1, 1, 1)) * slopes[::2, :1]
    slopes = ops.convert_to_tensor((steep * slopes).astype("float32"))
    bias = ops.convert_to_tensor(random.normal(size=(rows, *SHAPE)).astype("float32"))

    class Decoders:
        jacobian = staticmethod(lambda code: slopes)

        def __call__(self, code):
            return ops.sum(slopes * code[..., None, None, None], axis=1) + bias

    model = types.SimpleNamespace(
        decoder=Decoders(), likelihood_family=likelihood(SHAPE, projection=False), image_shape=SHAPE
    )
    model.likelihood_family.build((None, *SHAPE))
    images = random_images(rows, SHAPE, model.likelihood_family.levels)
    if likelihood is GaussianLikelihood:
        model.likelihood_family.initialize_from_data(images)
    family = LaplacePosterior(size, steps=1)
    start = {"loc": ops.convert_to_tensor(random.normal(size=(rows, size)).astype("float32"))}
    found = family.refine(start, images.astype("float32"), model)
    loc, factor = (numpy_of(found[name]) for name in ("loc", "precision_cholesky"))
    assert np.isfinite(loc).all() and np.isfinite(factor).all()
    # Every eigenvalue of the precision is at least 1, and so is what Cholesky takes roots of.
    assert np.diagonal(factor, axis1=1, axis2=2).min() > 0.9
    spread = numpy_of(family.distribution(found).spread())
    assert np.isfinite(spread).all() and spread.max() < 1.1


def test_gradient_flows_through_the_steps():
    """Into the encoder by the start, into the decoder by Jacobian, Hessian and Newton's steps."""
    model = model_with(LaplacePosterior(SIZE, steps=2), BernoulliLikelihood)
    images = random_images(ROWS, SHAPE).astype("float32")
    posterior = {
        "loc": lambda: ops.sum(model.posterior(images).center()),
        "precision": lambda: ops.sum(model.posterior(images).spread()),
    }
    for what, loss in posterior.items():
        gradients = weight_gradients(model, loss)
        assert all(np.isfinite(values).all() for values in gradients.values()), what
        # The last bias of the decoder moves residuals and weights alike.
        dead = [path for path, values in gradients.items() if not np.any(values)]
        assert dead == [], what


def test_a_row_of_invalid_pixels_leaves_the_others():
    model = model_with(LaplacePosterior(SIZE), BernoulliLikelihood)
    images = random_images(ROWS, SHAPE).astype("float32")
    expected = numpy_of(model.posterior(images).spread())
    images[1] = 7
    found = numpy_of(model.posterior(images).spread())
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(np.delete(found, 1, 0), np.delete(expected, 1, 0), rtol=1e-6)


# === Refusals ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": -1}, "`steps` must be an integer, at least 0. Received: steps=-1"),
        ({"rate": 0.0}, "`rate` must be a finite number, greater than 0 and at most 1. Received:"),
        ({"rate": 1.5}, "`rate` must be a finite number, greater than 0 and at most 1. Received:"),
    ],
)
def test_invalid_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LaplacePosterior(SIZE, **arguments)


@keras.saving.register_keras_serializable(package="tests")
class NormalisedDecoder(MLPDecoder):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.normalisation = keras.layers.BatchNormalization()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"decoder": ResNetDecoder(SHAPE, 2, [2], 0, 4)},
            r"`decoder` must be one with `jacobian\(code\)`",
        ),
        (
            {"decoder": MLPDecoder(SHAPE, units=[4], activation="elu")},
            "`activation` must be relu, leaky_relu or linear.* Received: activation='elu'",
        ),
        (
            {"decoder": NormalisedDecoder(SHAPE, units=[4], activation="relu")},
            "without batch normalisation and dropout.*Received: a decoder with BatchNormalization",
        ),
        (
            {"likelihood_family": None},
            "`likelihood_family` must be one with `residual_and_weight`.*Received:.*PixelCNN",
        ),
        (
            {"likelihood_family": FactorisedLogisticMixtureLikelihood(SHAPE)},
            "`likelihood_family` must be one with `residual_and_weight`",
        ),
        ({"prior_family": FlowPrior(SIZE, steps=1, hidden_units=[4])}, r"must be N\(0, I\)"),
    ],
)
def test_parts_that_cannot_be_linearised_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        model_with(LaplacePosterior(SIZE), BernoulliLikelihood, **parts)

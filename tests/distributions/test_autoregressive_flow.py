"""The autoregressive flow: invertible, normalised, and its density the one it samples from."""

import numpy as np
import pytest

from tests.gradients import jacobian, randomise, stateless_seed
from vlae_tf.backend import tfd
from vlae_tf.distributions import AutoregressiveFlow
from vlae_tf.layers import MADE

jax = pytest.mark.jax
both_kinds = pytest.mark.parametrize("mean_only", [True, False])


def flow_of(size, steps=2, mean_only=False, orders=("forward", "reverse"), scale=0.4):
    layers = []
    for index in range(steps):
        layer = MADE(size, [6, 6], mean_only, orders[index % len(orders)], activation="elu")
        layer.build((None, size))
        layers.append(randomise(layer, scale, seed=index))
    return AutoregressiveFlow(layers, size)


def points(rows, size, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, size)).astype("float32")


@both_kinds
@pytest.mark.parametrize("steps", [1, pytest.param(3, marks=jax)])
@pytest.mark.parametrize("size", [1, pytest.param(4, marks=jax)])
def test_forward_and_inverse_undo_each_other(size, steps, mean_only):
    flow, x = flow_of(size, steps, mean_only), points(5, size)
    code = flow.from_noise(x)
    assert np.max(np.abs(code - x)) > 0.1
    np.testing.assert_allclose(flow.bijector.inverse(np.asarray(code)), x, atol=1e-4)
    np.testing.assert_allclose(flow.to_noise(np.asarray(code)), x, atol=1e-4)
    np.testing.assert_allclose(flow.from_noise(flow.bijector.inverse(x)), x, atol=1e-4)


@both_kinds
@pytest.mark.parametrize("steps", [1, pytest.param(3, marks=jax)])
def test_density_is_the_change_of_variables(steps, mean_only):
    flow, code = flow_of(4, steps, mean_only), points(1, 4)
    inverse = flow.bijector.inverse
    _, log_det = np.linalg.slogdet(jacobian(inverse, code[0]))
    noise = np.asarray(inverse(code), "float64")
    expected = -0.5 * np.sum(noise**2 + np.log(2 * np.pi)) + log_det
    np.testing.assert_allclose(flow.log_prob(code), [expected], rtol=1e-4)
    if mean_only:
        np.testing.assert_allclose(log_det, 0.0, atol=1e-5)


@both_kinds
def test_density_agrees_with_the_general_one_of_tfp(mean_only):
    flow, codes = flow_of(3, 3, mean_only), points(6, 3)
    oracle = tfd.TransformedDistribution(flow.distribution, flow.bijector)
    np.testing.assert_allclose(flow.log_prob(codes), oracle.log_prob(codes), rtol=1e-4)
    terms = flow.log_prob_terms(codes)
    assert terms.shape == codes.shape
    np.testing.assert_allclose(np.sum(terms, -1), oracle.log_prob(codes), rtol=1e-4)


@both_kinds
def test_density_integrates_to_one_on_a_line(mean_only):
    flow, line = flow_of(1, 2, mean_only), np.linspace(-30, 30, 6001, dtype="float32")
    density = np.exp(np.asarray(flow.log_prob(line[:, None]), "float64"))
    np.testing.assert_allclose(density.sum() * 0.01, 1.0, atol=1e-3)


@jax
@both_kinds
def test_density_of_the_plane_integrates_to_one_and_samples_follow_it(mean_only):
    flow, line = flow_of(2, 2, mean_only), np.linspace(-15, 15, 601, dtype="float32")
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    mass = np.exp(np.asarray(flow.log_prob(grid), "float64")) * 0.05**2
    np.testing.assert_allclose(mass.sum(), 1.0, atol=1e-3)

    samples = np.asarray(flow.sample(4000, seed=stateless_seed(0)))
    for inside in (
        lambda z: z[:, 0] < np.median(samples[:, 0]) + 0.3,
        lambda z: z[:, 0] < z[:, 1],
        lambda z: np.abs(z).max(-1) < 1.0,
    ):
        probability = mass[inside(grid)].sum()
        # Four standard errors, and what half a cell of the grid can make.
        margin = 4 * np.sqrt(probability * (1 - probability) / 4000) + 0.015
        assert abs(inside(samples).mean() - probability) < margin


@jax
def test_orders_of_the_steps_are_used():
    for order, triangle in (("forward", np.tril), ("reverse", np.triu)):
        seen = jacobian(flow_of(4, 1, orders=[order]).bijector.inverse, points(1, 4)[0]) != 0
        np.testing.assert_array_equal(seen, triangle(np.ones((4, 4), bool)))
    seen = jacobian(flow_of(4, 2).bijector.inverse, points(1, 4)[0]) != 0
    assert seen.all()


def test_steps_are_applied_to_the_noise_in_the_order_given():
    flow, noise = flow_of(3, 2), points(2, 3)
    first, second = (AutoregressiveFlow([step], 3) for step in flow._steps)
    code = second.from_noise(first.from_noise(noise))
    np.testing.assert_allclose(flow.from_noise(noise), code, rtol=1e-5, atol=1e-5)


@jax
@pytest.mark.parametrize("size", [1, 3])
def test_without_steps_it_is_the_standard_normal(size):
    flow, codes = AutoregressiveFlow([], size), points(4, size)
    expected = np.sum(-0.5 * codes**2 - 0.5 * np.log(2 * np.pi), axis=-1)
    np.testing.assert_allclose(flow.log_prob(codes), expected, rtol=1e-5)
    np.testing.assert_array_equal(flow.from_noise(codes), codes)
    assert flow.sample(2, seed=stateless_seed(0)).shape == (2, size)


@jax
def test_shapes_and_seeds_of_samples():
    flow = flow_of(3)
    assert tuple(flow.batch_shape) == () and tuple(flow.event_shape) == (3,)
    assert flow.sample(seed=stateless_seed(0)).shape == (3,)
    assert flow.sample((2, 4), seed=stateless_seed(0)).shape == (2, 4, 3)
    assert flow.log_prob(flow.sample((2, 4), seed=stateless_seed(0))).shape == (2, 4)
    one, same, other = (flow.sample(2, seed=stateless_seed(n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.any(np.asarray(one) != np.asarray(other))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_with_a_batch_of_any_size(jit_compile):
    import tensorflow as tf

    flow = flow_of(3)

    spec = [tf.TensorSpec((None, 3))]

    @tf.function(jit_compile=jit_compile, input_signature=spec, autograph=False)
    def round_trip(noise):
        code = flow.from_noise(noise)
        return code, flow.log_prob(tf.identity(code))

    for rows in (1, 4):
        noise = points(rows, 3)
        code, log_prob = round_trip(noise)
        np.testing.assert_allclose(code, flow.from_noise(noise), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(log_prob, flow.log_prob(code), rtol=1e-4)


def test_step_of_another_size_is_refused():
    words = r"`event_size` inputs each. Received: event_size=3, .* \[4\]"
    with pytest.raises(ValueError, match=words):
        AutoregressiveFlow([MADE(4, [8])], 3)

"""The inverse autoregressive flow: its quick density of a sample is the true one."""

import numpy as np
import pytest
from keras import ops

from tests.gradients import jacobian, randomise, stateless_seed
from vlae_tf.distributions import InverseAutoregressiveFlow
from vlae_tf.layers import MADE

jax = pytest.mark.jax
both_kinds = pytest.mark.parametrize("mean_only", [True, False])

SIZE, ROWS = 4, 3
RANDOM = np.random.default_rng(0)
LOC, CONTEXT = (RANDOM.normal(size=(ROWS, n)).astype("float32") for n in (SIZE, 2))
SCALE = RANDOM.uniform(0.5, 2.0, size=(ROWS, SIZE)).astype("float32")
NOISE = RANDOM.normal(size=(ROWS, SIZE)).astype("float32")


def steps_of(mean_only, steps=2):
    layers = []
    for index in range(steps):
        order = "reverse" if index % 2 else "forward"
        layer = MADE(SIZE, [6], mean_only, order, activation="elu", context_size=2)
        layer.build((None, SIZE), (None, 2))
        layers.append(randomise(layer, 0.4, seed=index))
    return layers


def flow_of(mean_only=False, rows=slice(None)):
    return InverseAutoregressiveFlow(LOC[rows], SCALE[rows], steps_of(mean_only), CONTEXT[rows])


@jax
@both_kinds
def test_density_of_a_sample_is_the_density_of_that_code(mean_only):
    flow = flow_of(mean_only)
    code, log_prob = flow.experimental_sample_and_log_prob(seed=stateless_seed(0))
    # Without the sample's own noise in TFP's cache, the flow has to be inverted.
    np.testing.assert_allclose(log_prob, flow.log_prob(np.asarray(code)), rtol=1e-4)
    np.testing.assert_allclose(
        log_prob, flow_of(mean_only).log_prob(np.asarray(code)), rtol=1e-4, atol=1e-4
    )


@both_kinds
def test_density_is_the_change_of_variables(mean_only):
    code, log_prob = flow_of(mean_only).from_noise_and_log_prob(NOISE)
    for row in range(ROWS):
        pick = [row]

        def code_of(noise, pick=pick):
            count = noise.shape[0]
            given = [np.repeat(x[pick], count, 0) for x in (LOC, SCALE, CONTEXT)]
            flow = InverseAutoregressiveFlow(*given[:2], steps_of(mean_only), given[2])
            return flow.from_noise(noise)

        _, log_det = np.linalg.slogdet(jacobian(code_of, NOISE[row]))
        normal = -0.5 * np.sum(NOISE[row].astype("float64") ** 2 + np.log(2 * np.pi))
        np.testing.assert_allclose(log_prob[row], normal - log_det, rtol=1e-4)
        if mean_only:
            np.testing.assert_allclose(log_det, np.log(SCALE[row]).sum(), atol=1e-4)
    np.testing.assert_allclose(code, flow_of(mean_only).from_noise(NOISE), rtol=1e-5, atol=1e-6)


@jax
@both_kinds
def test_noise_can_be_got_back_from_the_code(mean_only):
    flow = flow_of(mean_only)
    code = np.asarray(flow.from_noise(NOISE))
    base = flow.bijector.inverse(code)
    np.testing.assert_allclose((base - LOC) / SCALE, NOISE, atol=1e-4)
    assert np.max(np.abs(base - code)) > 0.1


def test_steps_are_applied_to_the_first_gaussian_in_the_order_given():
    code = LOC + SCALE * NOISE
    for step in steps_of(mean_only=False):
        shift, log_scale = step(code, CONTEXT)
        code = (code - np.asarray(shift)) * np.exp(-np.asarray(log_scale))
    np.testing.assert_allclose(flow_of().from_noise(NOISE), code, rtol=1e-4, atol=1e-5)


@jax
def test_rows_depend_on_their_own_context():
    whole, alone = flow_of(), flow_of(rows=slice(1, 2))
    code = np.asarray(whole.from_noise(NOISE))
    np.testing.assert_allclose(alone.from_noise(NOISE[1:2]), code[1:2], rtol=1e-4, atol=1e-5)
    other = InverseAutoregressiveFlow(LOC, SCALE, steps_of(False), CONTEXT[::-1])
    changed = np.abs(np.asarray(other.from_noise(NOISE)) - code).max(-1) > 1e-3
    np.testing.assert_array_equal(changed, [True, False, True])


@jax
def test_several_samples_for_each_row():
    flow = flow_of()
    assert tuple(flow.batch_shape) == (ROWS,) and tuple(flow.event_shape) == (SIZE,)
    code, log_prob = flow.experimental_sample_and_log_prob(5, seed=stateless_seed(0))
    assert code.shape == (5, ROWS, SIZE) and log_prob.shape == (5, ROWS)
    for sample, expected in zip(code, log_prob, strict=True):
        np.testing.assert_allclose(flow.log_prob(np.asarray(sample)), expected, rtol=1e-3)
    many, _ = flow.from_noise_and_log_prob(np.stack([NOISE, -NOISE]))
    np.testing.assert_allclose(many[1], flow.from_noise(-NOISE), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_with_a_batch_of_any_size(jit_compile):
    import tensorflow as tf

    steps = steps_of(mean_only=False)
    spec = [tf.TensorSpec((None, n)) for n in (SIZE, SIZE, 2, SIZE)]

    @tf.function(jit_compile=jit_compile, input_signature=spec, autograph=False)
    def densities(loc, scale, context, noise):
        flow = InverseAutoregressiveFlow(loc, scale, steps, context)
        code, log_prob = flow.from_noise_and_log_prob(noise)
        return log_prob, flow.log_prob(tf.identity(code))

    for rows in (1, 3):
        quick, slow = densities(*(x[:rows] for x in (LOC, SCALE, CONTEXT, NOISE)))
        np.testing.assert_allclose(quick, slow, rtol=1e-4, atol=1e-4)
        expected = flow_of(rows=slice(rows)).from_noise_and_log_prob(NOISE[:rows])[1]
        np.testing.assert_allclose(quick, expected, rtol=1e-4, atol=1e-4)


def test_mean_needs_no_noise_and_log_prob_is_float32():
    flow = InverseAutoregressiveFlow(
        ops.cast(LOC, "bfloat16"), ops.cast(SCALE, "bfloat16"), steps_of(True), CONTEXT
    )
    _, log_prob = flow.from_noise_and_log_prob(np.zeros_like(NOISE))
    assert str(log_prob.numpy().dtype) == "float32"

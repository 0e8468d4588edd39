"""MADE: an output depends on the inputs before its own, on all of them, and on nothing else."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import jacobian, randomise
from vlae_tf.layers import MADE, MaskedDense

jax = pytest.mark.jax


def ranks(order, size):
    return {"forward": np.arange(size), "reverse": np.arange(size)[::-1]}.get(str(order), order)


def dependence(layer):
    """Which input (column) each output (row) depends on: shifts, then log-scales if there are."""
    x = np.random.default_rng(1).normal(size=layer.event_size)
    context = np.ones((1, layer.context_size), "float32") if layer.context_size else None

    def rows(x):
        given = () if context is None else (ops.repeat(context, x.shape[0], axis=0),)
        return ops.concatenate([o for o in layer(x, *given) if o is not None], axis=-1)

    return jacobian(rows, x) != 0


@pytest.mark.parametrize("context_size", [0, 2])
@pytest.mark.parametrize("hidden_units", [[3], [7, 5], [4, 12, 5]])
@pytest.mark.parametrize("order", ["forward", "reverse", [2, 0, 3, 1]])
@pytest.mark.parametrize("mean_only", [True, False])
def test_jacobian_is_the_order(mean_only, order, hidden_units, context_size):
    layer = MADE(4, hidden_units, mean_only, order, activation="elu", context_size=context_size)
    layer.build((None, 4), (None, context_size) if context_size else None)
    randomise(layer)
    rank = np.asarray(ranks(order, 4))
    expected = np.tile(rank[None, :] < rank[:, None], (1 if mean_only else 2, 1))
    np.testing.assert_array_equal(dependence(layer), expected)


@jax
def test_layer_narrower_than_the_event_loses_no_input_altogether():
    layer = MADE(9, [3, 2], activation="elu")
    layer.build((None, 9))
    seen = dependence(randomise(layer))
    assert not np.triu(seen).any()
    # The last output sees all the others.
    assert seen[-1, :-1].all()


@pytest.mark.parametrize("event_size", [1, 2])
def test_smallest_events(event_size):
    layer = MADE(event_size, [4], activation="elu")
    layer.build((None, event_size))
    expected = np.tril(np.ones((event_size, event_size), bool), -1)
    np.testing.assert_array_equal(dependence(randomise(layer)), expected)


@jax
@pytest.mark.parametrize("mean_only", [True, False])
def test_every_output_sees_the_context(mean_only):
    layer = MADE(3, [8], mean_only, activation="elu", context_size=2)
    layer.build((None, 3), (None, 2))
    randomise(layer)
    for output in range(1 if mean_only else 2):
        seen = jacobian(lambda c, o=output: layer(ops.ones((c.shape[0], 3)), c)[o], np.ones(2))
        assert np.all(seen != 0)


@jax
@pytest.mark.parametrize("weight_norm", [True, False])
def test_masks_hold_after_an_optimiser_step(weight_norm):
    layer = MADE(4, [6, 6], activation="elu", weight_norm=weight_norm)
    layer.build((None, 4))
    weights = layer.trainable_variables
    keras.optimizers.Adam(0.1).apply([ops.ones(w.shape) for w in weights], weights)
    np.testing.assert_array_equal(dependence(layer), np.tril(np.ones((4, 4), bool), -1))


@jax
def test_starts_near_the_identity_flow():
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    shift, log_scale = MADE(8, [32, 32], mean_only=False)(x)
    assert float(ops.max(ops.abs(shift))) < 0.1 and float(ops.max(ops.abs(log_scale))) < 0.1


@jax
def test_mean_only_has_no_scale():
    layer = MADE(3, [4])
    assert layer(np.zeros((1, 3)))[1] is None
    assert MADE.from_config(layer.get_config())(np.zeros((1, 3)))[1] is None


@pytest.mark.parametrize("order", ["sideways", [0, 1], [0, 1, 1], [1, 2, 3]])
def test_order_that_is_no_permutation_is_refused(order):
    with pytest.raises(
        ValueError, match=r"`order` must be 'forward'.*permutation of 0\.\.2.*order="
    ):
        MADE(3, [8], order=order)


@pytest.mark.parametrize(
    ("event_size", "hidden_units", "wrong"),
    [(0, [4], "event_size"), (3, [], "hidden_units"), (3, [4, 0], "hidden_units")],
)
def test_invalid_sizes_are_refused(event_size, hidden_units, wrong):
    with pytest.raises(ValueError, match=f"`{wrong}` must be .* at least 1. Received: {wrong}="):
        MADE(event_size, hidden_units)


def test_context_missing_or_unexpected_is_refused():
    x = np.zeros((1, 3), "float32")
    with pytest.raises(ValueError, match=r"`context` must be given.* is 2 here.*context=None"):
        MADE(3, [4], context_size=2)(x)
    with pytest.raises(ValueError, match=r"`context` must be given.* is 0 here"):
        MADE(3, [4])(x, x)


def test_mask_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"kernel's shape \(3, 2\). Received: mask.*\(2, 2\)"):
        MaskedDense(2, mask=np.ones((2, 2)))(np.zeros((1, 3)))


@jax
@pytest.mark.parametrize("mean_only", [True, False])
@pytest.mark.parametrize("hidden_units", [[3], [9, 5], [4, 12, 5]])
@pytest.mark.parametrize("order", ["forward", "reverse", [2, 0, 4, 3, 1]])
def test_transformed_noise_is_the_fixed_point_of_the_flow(order, hidden_units, mean_only):
    layer = MADE(5, hidden_units, mean_only, order, activation="elu")
    layer.build((None, 5))
    randomise(layer, 0.5)
    noise = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    x = layer.from_noise(noise)
    shift, log_scale = layer(x)
    scale = 1.0 if mean_only else np.exp(ops.convert_to_numpy(log_scale))
    expected = noise * scale + ops.convert_to_numpy(shift)
    np.testing.assert_allclose(x, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(np.asarray(x) - noise).max() > 0.1


@pytest.mark.parametrize("event_size", [1, 2])
def test_noise_of_the_smallest_events(event_size):
    layer = MADE(event_size, [4], activation="elu")
    layer.build((None, event_size))
    randomise(layer)
    noise = np.random.default_rng(0).normal(size=(3, event_size)).astype("float32")
    x = layer.from_noise(noise)
    np.testing.assert_allclose(x, noise + np.asarray(layer(x)[0]), rtol=1e-4, atol=1e-5)


def test_noise_cannot_be_transformed_with_a_context():
    layer = MADE(3, [4], context_size=2)
    layer.build((None, 3), (None, 2))
    with pytest.raises(ValueError, match="without a context. Received: context_size=2"):
        layer.from_noise(np.zeros((1, 3), "float32"))

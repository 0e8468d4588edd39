"""Masked convolutions as a flow step: each number sees what comes before it, and no more."""

import keras
import numpy as np
import pytest

from tests.gradients import jacobian, randomise
from vlae_tf.distributions import AutoregressiveFlow
from vlae_tf.layers import ConvMADE

pytestmark = pytest.mark.jax
SHAPE = (3, 4, 4)


def made(scale=0.3, **settings):
    layer = ConvMADE(SHAPE, **{"filters": 8, **settings})
    layer.build((None, layer.event_size))
    return randomise(layer, scale)


def rank(groups, order):
    """The turn of each number: raster over positions, then the group of the channel."""
    group = np.arange(4) * groups // 4
    turn = (np.arange(12).reshape(3, 4)[..., None] * groups + group).reshape(-1)
    return turn[::-1] if order == "reverse" else turn


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("order", ["forward", "reverse"])
@pytest.mark.parametrize("output", [0, 1], ids=["shift", "log_scale"])
def test_sees_only_what_comes_before(groups, order, output):
    layer = made(groups=groups, order=order, mean_only=False)
    x = np.random.default_rng(0).normal(size=layer.event_size)
    seen = jacobian(lambda x: layer(x)[output], x) != 0
    turns = rank(groups, order)
    before = turns[None, :] < turns[:, None]
    assert not seen[~before].any()
    # Of what comes before it sees its own position's earlier groups, and its neighbours.
    near = [(0, -1), (-1, -1), (-1, 0), (-1, 1)]
    sign = -1 if order == "reverse" else 1
    seen = seen.reshape(*SHAPE, *SHAPE)
    for i, j, channel in np.ndindex(SHAPE):
        for row, column in near:
            i2, j2 = i + sign * row, j + sign * column
            if 0 <= i2 < 3 and 0 <= j2 < 4:
                assert seen[i, j, channel, i2, j2].all()
        turn = turns.reshape(SHAPE)[i, j]
        np.testing.assert_array_equal(seen[i, j, channel, i, j], turn < turn[channel])


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("mean_only", [True, False])
def test_flow_there_and_back(groups, mean_only):
    settings = {"scale": 0.1, "groups": groups, "mean_only": mean_only}
    steps = [made(order=order, **settings) for order in ("forward", "reverse")]
    flow = AutoregressiveFlow(steps, 48)
    noise = np.random.default_rng(0).normal(size=(3, 48)).astype("float32")
    code = flow.from_noise(noise)
    for step in reversed(steps):
        shift, log_scale = step(code)
        code = code - shift
        if log_scale is not None:
            code = code * keras.ops.exp(-log_scale)
    np.testing.assert_allclose(code, noise, atol=2e-4)


@pytest.mark.parametrize("mean_only", [True, False])
def test_several_codes_of_each_image_keep_their_places(mean_only):
    flow = AutoregressiveFlow([made(mean_only=mean_only)], 48)
    codes = np.random.default_rng(0).normal(size=(3, 2, 48)).astype("float32")
    together = flow.log_prob(codes)
    one_by_one = np.stack([flow.log_prob(rows) for rows in codes])
    np.testing.assert_allclose(together, one_by_one, rtol=1e-5)


def test_log_prob_is_the_change_of_variables():
    steps = [made(0.1, groups=2, mean_only=False, order=o) for o in ("forward", "reverse")]
    flow = AutoregressiveFlow(steps, 48)
    noise = 0.5 * np.random.default_rng(0).normal(size=48).astype("float32")
    matrix = jacobian(lambda e: flow.from_noise(e), noise)
    normal = -0.5 * np.sum(noise.astype("float64") ** 2 + np.log(2 * np.pi))
    expected = normal - np.linalg.slogdet(matrix.astype("float64"))[1]
    code = flow.from_noise(noise[None])
    np.testing.assert_allclose(flow.log_prob(code)[0], expected, rtol=1e-3)


def test_it_starts_near_the_identity():
    layer = ConvMADE(SHAPE, filters=8, mean_only=False)
    x = np.random.default_rng(0).normal(size=(2, 48)).astype("float32")
    for output in layer(x):
        assert np.abs(np.asarray(output)).max() < 0.2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"code_shape": (8, 8)}, "`code_shape` must be three positive integers"),
        (
            {"code_shape": (8, 8, 6), "groups": 4},
            "`groups` must be a divisor of the code's 6 channels",
        ),
        (
            {"code_shape": (8, 8, 4), "order": "random"},
            "`order` must be one of 'forward', 'reverse'",
        ),
        (
            {"code_shape": (8, 8, 4), "hidden_layers": 0},
            "`hidden_layers` must be an integer, at least 1",
        ),
        ({"code_shape": (8, 8, 4), "groups": 4, "filters": 6}, "multiple of `groups`"),
    ],
)
def test_invalid_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        ConvMADE(**arguments)

"""The discretised logistic mixture: normalised, as an oracle in float64, stable at every edge."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import gradient, stateless_seed
from vlae_tf.distributions import DiscretisedLogisticMixture

pytestmark = [
    pytest.mark.jax,
    pytest.mark.filterwarnings("ignore:shape requires ndarray:DeprecationWarning"),
]


def parameters(*batch, channels=3, components=4, log_scale=-2.0, seed=0):
    rng = np.random.default_rng(seed)
    matrix = (*batch, channels, components)
    return {
        "logits": rng.normal(size=(*batch, components)).astype("float32"),
        "loc": rng.uniform(-1.2, 1.2, size=matrix).astype("float32"),
        "log_scale": (log_scale + rng.normal(size=matrix)).astype("float32"),
        "coefficients": rng.uniform(
            -1, 1, size=(*batch, channels * (channels - 1) // 2, components)
        ).astype("float32"),
    }


def oracle(x, logits, loc, log_scale, coefficients=None, levels=256):
    """log p(x) in float64, straight from the definition."""
    x = np.asarray(x, "float64")
    y = (2 * x / (levels - 1) - 1)[..., None]
    mean = loc.astype("float64").copy()
    if coefficients is not None:
        row = 0
        for c in range(x.shape[-1]):
            for d in range(c):
                mean[..., c, :] += coefficients[..., row, :] * y[..., d, :]
                row += 1
    scale = np.exp(np.maximum(log_scale.astype("float64"), -7))

    def cdf(edge):
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-(edge - mean) / scale))

    half = 1 / (levels - 1)
    upper = np.where(x[..., None] == levels - 1, 1.0, cdf(y + half))
    lower = np.where(x[..., None] == 0, 0.0, cdf(y - half))
    weights = np.exp(logits - logits.max(-1, keepdims=True), dtype="float64")
    weights /= weights.sum(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        return np.log((weights * np.prod(upper - lower, axis=-2)).sum(-1))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_it_is_the_oracle(channels):
    values = parameters(50, channels=channels)
    x = np.random.default_rng(1).integers(0, 256, (50, channels))
    x[:10], x[10:20] = 0, 255
    log_prob = DiscretisedLogisticMixture(**values).log_prob(x.astype("float32"))
    expected = oracle(x, **values)
    # Where the probability is not lost in float64's differences.
    good = expected > -25
    assert good.sum() > 20
    np.testing.assert_allclose(np.asarray(log_prob)[good], expected[good], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("log_scale", [-6.5, -4.0, 0.0, 3.0])
@pytest.mark.parametrize("name", ["logits", "loc", "log_scale", "coefficients"])
def test_gradients_are_the_oracles(name, log_scale):
    values = parameters(3, channels=2, log_scale=log_scale)
    values["log_scale"] = np.full_like(values["log_scale"], log_scale)
    x = np.array([[0, 7], [128, 130], [255, 250]])
    # Means within a few scales of the pixel, where float64's differences are good.
    y, near = 2 * x / 255 - 1, np.random.default_rng(2).uniform(-2, 2, values["loc"].shape)
    values["loc"] = (y[..., None] + near * np.exp(log_scale)).astype("float32")
    values["loc"][:, 1] -= values["coefficients"][:, 0] * y[:, :1]

    def of(parameter):
        mixture = DiscretisedLogisticMixture(**{**values, name: parameter})
        return ops.sum(mixture.log_prob(x.astype("float32")))

    found, step = gradient(of, values[name]), 1e-3 * np.exp(min(log_scale, 0.0))
    for place in np.ndindex(values[name].shape):
        moved = np.zeros(values[name].shape)
        moved[place] = step
        high, low = (
            oracle(x, **{**values, name: values[name].astype("float64") + sign * moved}).sum()
            for sign in (1, -1)
        )
        assert found[place] == pytest.approx((high - low) / (2 * step), rel=0.01, abs=0.01)


@pytest.mark.parametrize("log_scale", [-9.0, -4.0, 0.0, 3.0])
def test_each_channel_sums_to_one_given_the_ones_before(log_scale):
    values = parameters(log_scale=log_scale, seed=3)
    values = {name: np.repeat(v[None], 256, axis=0) for name, v in values.items()}
    mixture = DiscretisedLogisticMixture(**values)
    # p(x_c | x_<c) = p(x_<=c) / p(x_<c): sum the later channels out, one level at a time.
    single = DiscretisedLogisticMixture(
        values["logits"], values["loc"][:, :1], values["log_scale"][:, :1]
    )
    levels = np.arange(256.0, dtype="float32")[:, None]
    np.testing.assert_allclose(
        np.exp(np.asarray(single.log_prob(levels), "f8")).sum(), 1, rtol=1e-4
    )
    two = DiscretisedLogisticMixture(
        values["logits"],
        values["loc"][:, :2],
        values["log_scale"][:, :2],
        values["coefficients"][:, :1],
    )
    red = np.full((256, 1), 100.0, "float32")
    total = np.exp(np.asarray(two.log_prob(np.concatenate([red, levels], -1)), "f8")).sum()
    np.testing.assert_allclose(total, np.exp(float(single.log_prob(red)[0])), rtol=1e-3)
    pixels = np.concatenate([red, red + 50, levels], -1)
    total = np.exp(np.asarray(mixture.log_prob(pixels), "f8")).sum()
    before = np.concatenate([red, red + 50], -1)
    np.testing.assert_allclose(total, np.exp(float(two.log_prob(before)[0])), rtol=1e-3)


def test_all_pixels_of_few_levels_sum_to_one():
    pixels = np.array(list(itertools.product(range(5), repeat=3)), "float32")
    values = parameters(log_scale=-1.0)
    values = {name: np.repeat(v[None], len(pixels), axis=0) for name, v in values.items()}
    mixture = DiscretisedLogisticMixture(**values, levels=5)
    np.testing.assert_allclose(np.exp(np.asarray(mixture.log_prob(pixels))).sum(), 1, rtol=1e-5)


@pytest.mark.parametrize("log_scale", [-30.0, -7.0, 0.0, 10.0])
@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("loc", [-3.0, -1.0, 0.004, 1.0, 3.0])
def test_gradients_are_finite_everywhere(level, loc, log_scale):
    x = np.full((1, 1), level, "float32")

    def log_prob(values):
        logits = ops.zeros((1, 1))
        mixture = DiscretisedLogisticMixture(
            logits, ops.reshape(values[0], (1, 1, 1)), ops.reshape(values[1], (1, 1, 1))
        )
        return ops.sum(mixture.log_prob(x))

    point = np.array([loc, log_scale], "float32")
    value, gradient = value_and_gradient(log_prob, point)
    assert np.isfinite(value) and value <= 0
    assert np.isfinite(gradient).all()
    # Towards the level is up; the lowest and the highest reach without end.
    towards = {0: -np.inf, 255: np.inf}.get(level, 2 * level / 255 - 1) - loc
    if abs(towards) > 1e-2:
        assert gradient[0] * np.sign(towards) >= 0


def value_and_gradient(function, point):
    if keras.backend.backend() == "jax":
        import jax

        value, gradient = jax.value_and_grad(function)(point)
        return float(value), np.asarray(gradient)
    import tensorflow as tf

    point = tf.constant(point)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(point)
    return float(value), tape.gradient(value, point).numpy()


def test_frequencies_of_samples_are_their_probabilities():
    values = parameters(channels=2, components=3, log_scale=0.0)
    values = {name: np.repeat(v[None], 20000, axis=0) for name, v in values.items()}
    mixture = DiscretisedLogisticMixture(**values, levels=4)
    samples = np.asarray(mixture.sample(seed=stateless_seed(0)))
    assert samples.shape == (20000, 2) and set(np.unique(samples)) == {0, 1, 2, 3}
    observed = np.bincount((samples @ [4, 1]).astype(int), minlength=16)
    pixels = np.array(list(itertools.product(range(4), repeat=2)), "float32")
    few = DiscretisedLogisticMixture(**{k: v[:16] for k, v in values.items()}, levels=4)
    expected = 20000 * np.exp(np.asarray(few.log_prob(pixels), "float64"))
    assert expected.min() > 5
    # The 99.9 % quantile of chi-square with 15 degrees of freedom.
    assert np.sum((observed - expected) ** 2 / expected) < 37.7


def test_parameters_of_a_network():
    size = DiscretisedLogisticMixture.parameter_count(3, 10)
    assert size == 100  # that of PixelCNN++
    numbers = np.random.default_rng(0).normal(size=(2, 4, 4, size)).astype("float32")
    mixture = DiscretisedLogisticMixture.of_parameters(numbers, 3)
    assert tuple(mixture.batch_shape) == (2, 4, 4) and tuple(mixture.event_shape) == (3,)
    np.testing.assert_array_equal(mixture.logits, numbers[..., :10])
    np.testing.assert_array_equal(mixture.loc[..., 0, :], numbers[..., 10:20])
    np.testing.assert_array_equal(mixture.log_scale[..., 2, :], numbers[..., 60:70])
    np.testing.assert_allclose(mixture.coefficients[..., 0, :], np.tanh(numbers[..., 70:80]), 1e-5)
    grey = DiscretisedLogisticMixture.of_parameters(numbers[..., :30], 1)
    assert grey.coefficients is None and grey.loc.shape[-1] == 10


def test_means_of_a_network_are_those_of_channels_that_come_as_expected():
    numbers = np.random.default_rng(1).normal(size=(7, 100)).astype("float32")
    mixture = DiscretisedLogisticMixture.of_parameters(numbers, 3)
    means = numbers[:, 10:40].reshape(7, 3, 10)
    a, b, c = np.moveaxis(np.asarray(mixture.coefficients), 1, 0)
    loc = np.asarray(mixture.loc)
    # Where the channels before are at their means, so is the next, whatever the coefficients.
    np.testing.assert_allclose(loc[:, 1] + a * means[:, 0], means[:, 1], atol=1e-5)
    last = loc[:, 2] + b * means[:, 0] + c * means[:, 1]
    np.testing.assert_allclose(last, means[:, 2], atol=1e-5)


def test_parameters_that_fit_no_number_of_components():
    with pytest.raises(ValueError, match="multiple of 10 channels.*Received: 99"):
        DiscretisedLogisticMixture.of_parameters(np.zeros((2, 99), "float32"), 3)


@pytest.mark.parametrize(
    ("name", "rows"), [("loc", 3), ("log_scale", 2), ("coefficients", 2), ("coefficients", 4)]
)
def test_parameters_that_do_not_fit_together(name, rows):
    values = parameters(2, components=4)
    values[name] = np.zeros((2, rows, 5 if name == "loc" else 4), "float32")
    with pytest.raises(ValueError, match=f"`{name}` must have shape .*, 3, 4.*Received: {name}"):
        DiscretisedLogisticMixture(**values)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16"])
def test_levels_may_be_of_any_type(dtype):
    mixture = DiscretisedLogisticMixture(**parameters(4))
    x = np.array([[0, 128, 255]] * 4)
    expected = mixture.log_prob(x.astype("float32"))
    np.testing.assert_array_equal(mixture.log_prob(x.astype(dtype)), expected)


def test_several_pixels_of_each_mixture_at_once():
    size = DiscretisedLogisticMixture.parameter_count(3, 2)
    parameters = np.random.default_rng(0).normal(size=(4, size)).astype("float32")
    mixture = DiscretisedLogisticMixture.of_parameters(parameters, 3)
    samples = np.asarray(mixture.sample(5, seed=stateless_seed(0)))
    one_by_one = [np.asarray(mixture.log_prob(sample)) for sample in samples]
    np.testing.assert_allclose(mixture.log_prob(samples), one_by_one, rtol=1e-5)

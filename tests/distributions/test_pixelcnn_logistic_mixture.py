"""Colour images pixel by pixel: normalised, sampled as evaluated, and seeing what they may."""

import itertools

import numpy as np
import pytest
from keras import ops

from tests.gradients import gradient, randomise, stateless_seed
from vlae_tf.distributions import DiscretisedLogisticMixture, PixelCNNLogisticMixture
from vlae_tf.layers import GatedPixelCNN, LocalPixelCNN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:shape requires ndarray:DeprecationWarning"),
]
jax = pytest.mark.jax
NETWORKS = {
    "local": lambda **kw: LocalPixelCNN(filters=4, blocks=1, first_kernel_size=3, **kw),
    "gated, 4x2": lambda **kw: GatedPixelCNN(
        filters=4, blocks=1, first_kernel_size=(5, 4), block_kernel_size=1, **kw
    ),
    "local, ordered": lambda **kw: LocalPixelCNN(
        filters=6, blocks=1, first_kernel_size=3, groups=kw["output_channels"] // 6, **kw
    ),
    "gated, ordered": lambda **kw: GatedPixelCNN(
        filters=6,
        blocks=1,
        first_kernel_size=(5, 4),
        block_kernel_size=1,
        groups=kw["output_channels"] // 6,
        **kw,
    ),
}


def likelihood_of(name, rows, shape, levels=256, grey=False, same=False, scale=0.3):
    groups = shape[-1] if "ordered" in name else 1
    count = PixelCNNLogisticMixture.parameter_count(shape[-1], 2, groups)
    network = NETWORKS[name](output_channels=count)
    seen = 1 if grey else shape[-1]
    network.build((None, *shape[:2], seen), (None, *shape[:2], 2))
    maps = np.random.default_rng(0).normal(size=(rows, *shape[:2], 2)).astype("float32")
    maps = np.repeat(maps[:1], rows, axis=0) if same else maps
    return PixelCNNLogisticMixture(
        randomise(network, scale), maps, shape, grey_window=grey, levels=levels
    )


def uniform(*shape):
    return np.random.default_rng(1).uniform(size=shape).astype("float32")


@pytest.mark.parametrize("name", NETWORKS)
def test_sums_to_one_over_all_images(name):
    shape, levels = (2, 2, 2), 3
    pixels = itertools.product(range(levels), repeat=8)
    images = np.array(list(pixels), "float32").reshape(-1, *shape)
    likelihood = likelihood_of(name, len(images), shape, levels, same=True)
    log_prob = np.asarray(likelihood.log_prob(images), "float64")
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-4)
    assert np.ptp(log_prob) > 1.0


@pytest.mark.parametrize(
    ("name", "grey"),
    [
        ("local", False),
        pytest.param("gated, 4x2", True, marks=jax),
        ("local, ordered", False),
        pytest.param("gated, ordered", False, marks=jax),
    ],
)
def test_columns_give_the_pixels_of_the_naive_sampler(name, grey):
    likelihood = likelihood_of(name, 3, (5, 6, 3), grey=grey)
    noise = uniform(3, *likelihood.noise_shape)
    images = np.zeros((3, 5, 6, 3), "float32")
    for i, j, channel in np.ndindex(5, 6, 3 if "ordered" in name else 1):
        pixels = likelihood.choose(likelihood.parameters_of(images), noise)
        here = (slice(None), i, j, channel if "ordered" in name else slice(None))
        images[here] = np.asarray(pixels)[here]
    drawn = np.asarray(likelihood.from_noise(noise))
    # A level whose bin's edge meets the noise within rounding may fall either way.
    assert (np.abs(drawn - images) <= 1).all() and (drawn == images).mean() > 0.99
    assert len(np.unique(drawn)) > 20


@jax
def test_known_pixels_stay():
    likelihood = likelihood_of("local", 2, (4, 4, 3))
    known = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")
    mask = np.zeros((2, 4, 4, 3), bool)
    mask[:, :2] = True
    images = np.asarray(likelihood.from_noise(uniform(2, 4, 4, 4), known, mask))
    np.testing.assert_array_equal(images[:, :2], known[:, :2])
    assert np.any(images[:, 2:] != known[:, 2:])


@jax
def test_a_grey_window_tells_nothing_of_colours():
    likelihood = likelihood_of("gated, 4x2", 1, (4, 5, 3), grey=True)
    images = np.full((1, 4, 5, 3), 128.0, "float32")
    other = images.copy()
    # Of the same luminance.
    other[0, 1, 2] += np.array([0.587, -0.299, 0.0]) * 100
    parameters = np.asarray(likelihood.parameters_of(images))
    np.testing.assert_allclose(parameters, likelihood.parameters_of(other), atol=1e-4)
    brighter = images.copy()
    brighter[0, 1, 2] += 50
    assert np.abs(parameters - np.asarray(likelihood.parameters_of(brighter))).max() > 1e-3


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_pixel_sees_the_window_and_the_channels_before_it(channel):
    likelihood = likelihood_of("gated, 4x2", 1, (5, 7, 3))
    i, j = 3, 3
    images = np.full((1, 5, 7, 3), 100.0, "float32")

    def mean(x):
        mixture = DiscretisedLogisticMixture.of_parameters(likelihood.parameters_of(x), 3)
        y = 2 * x[..., None] / 255 - 1
        return ops.sum((y - mixture._distances(y))[:, i, j, channel])

    seen = gradient(mean, images)[0] != 0
    window = {(row - i, column - j) for row, column in np.argwhere(seen.any(-1))} - {(0, 0)}
    above = {(-row, column) for row in (1, 2) for column in (-2, -1, 0, 1)}
    assert window == above | {(0, -1), (0, -2)}
    np.testing.assert_array_equal(seen[i, j], np.arange(3) < channel)


@pytest.mark.parametrize("channel", [0, 1, 2])
@jax
def test_an_ordered_network_sees_the_channels_before_it(channel):
    """Without the mixture's own coupling: the paper's channel-autoregressive decoder."""
    likelihood = likelihood_of("gated, ordered", 1, (5, 7, 3))
    i, j = 3, 3

    def mean(x):
        return ops.sum(likelihood.pixels(likelihood.parameters_of(x)).loc[:, i, j, channel])

    seen = gradient(mean, np.full((1, 5, 7, 3), 100.0, "float32"))[0] != 0
    window = {(row - i, column - j) for row, column in np.argwhere(seen.all(-1))}
    above = {(-row, column) for row in (1, 2) for column in (-2, -1, 0, 1)}
    assert window == above | {(0, -1), (0, -2)}
    np.testing.assert_array_equal(seen[i, j], np.arange(3) < channel)


@pytest.mark.parametrize(("groups", "grey"), [(2, False), (3, True)])
def test_groups_that_the_channels_do_not_have(groups, grey):
    network = LocalPixelCNN(output_channels=6, filters=6, groups=groups)
    with pytest.raises(ValueError, match=f"`network` must have `groups`.*groups={groups}"):
        PixelCNNLogisticMixture(network, ops.ones((1, 4, 4, 2)), (4, 4, 3), grey_window=grey)


@jax
def test_shapes_and_seeds_of_samples():
    likelihood = likelihood_of("local", 2, (3, 4, 3))
    samples = np.asarray(likelihood.sample(2, seed=stateless_seed(0)))
    assert samples.shape == (2, 2, 3, 4, 3)
    assert (samples == np.round(samples)).all() and samples.min() >= 0 and samples.max() <= 255
    assert tuple(likelihood.log_prob(samples).shape) == (2, 2)

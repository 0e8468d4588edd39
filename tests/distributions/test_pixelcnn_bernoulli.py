"""The PixelCNN likelihood: normalised, autoregressive, and sampled as it is evaluated."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import randomise, stateless_seed
from vlae_tf.backend import compiled
from vlae_tf.distributions import PixelCNNBernoulli
from vlae_tf.layers import GatedPixelCNN, LocalPixelCNN, ReceptiveField, ResidualPixelCNN
from vlae_tf.layers.wavefront.order import Wavefront

# TFP's JAX substrate warns when it draws uniform numbers.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:shape requires ndarray:DeprecationWarning"),
]
jax = pytest.mark.jax
NETWORKS = {
    "local, 3": lambda **kw: LocalPixelCNN(filters=3, blocks=0, first_kernel_size=3, **kw),
    "local, cone": lambda **kw: LocalPixelCNN(filters=3, blocks=1, first_kernel_size=5, **kw),
    "local, upright": lambda **kw: LocalPixelCNN(
        filters=3, blocks=1, first_kernel_size=(5, 1), block_kernel_size=(1, 3), **kw
    ),
    "local, left only": lambda **kw: LocalPixelCNN(
        filters=3, blocks=1, first_kernel_size=(1, 5), block_kernel_size=3, **kw
    ),
    "local, nothing": lambda **kw: LocalPixelCNN(filters=3, blocks=1, first_kernel_size=1, **kw),
    "residual, tied": lambda **kw: ResidualPixelCNN(filters=3, depth=4, **kw),
    "residual, untied": lambda **kw: ResidualPixelCNN(filters=3, depth=3, tied=False, **kw),
    "gated, block": lambda **kw: GatedPixelCNN(
        filters=3, blocks=1, first_kernel_size=(5, 3), block_kernel_size=1, **kw
    ),
    "local, even": lambda **kw: LocalPixelCNN(
        filters=3, blocks=1, first_kernel_size=(5, 4), block_kernel_size=(3, 2), **kw
    ),
    "gated, even": lambda **kw: GatedPixelCNN(
        filters=3, blocks=1, first_kernel_size=(5, 4), block_kernel_size=(1, 2), **kw
    ),
    "gated, wide": lambda **kw: GatedPixelCNN(filters=3, blocks=2, first_kernel_size=3, **kw),
}
# Networks in which the channels of a pixel follow one another, too.
ORDERED = {
    "local, ordered": lambda **kw: LocalPixelCNN(
        filters=4, blocks=1, first_kernel_size=3, groups=2, **kw
    ),
    "local, first channels alone": lambda **kw: LocalPixelCNN(
        filters=4, blocks=1, first_kernel_size=1, block_kernel_size=1, groups=2, **kw
    ),
    "gated, ordered": lambda **kw: GatedPixelCNN(
        filters=4, blocks=2, first_kernel_size=(3, 4), groups=2, **kw
    ),
}
# One of each class also on JAX: compiling each takes long.
ON_JAX = ("local, cone", "residual, tied", "gated, block")


@pytest.fixture(
    params=[
        pytest.param(make, id=name, marks=[jax] if name in ON_JAX else [])
        for name, make in NETWORKS.items()
    ]
)
def make(request):
    return request.param


def likelihood_of(make, rows, shape, same=False, scale=0.5, **options):
    """A likelihood whose weights leave no pixel sure, with one code for all rows if `same`."""
    network = make(output_channels=shape[-1], **options)
    network.build((None, *shape), (None, *shape[:2], 2))
    maps = np.random.default_rng(0).normal(size=(rows, *shape[:2], 2)).astype("float32")
    maps = np.repeat(maps[:1], rows, axis=0) if same else maps
    return PixelCNNBernoulli(randomise(network, scale), maps, shape)


def all_images(*shape):
    pixels = itertools.product([0.0, 1.0], repeat=int(np.prod(shape)))
    return np.array(list(pixels), "float32").reshape(-1, *shape)


def uniform(*shape):
    return np.random.default_rng(1).uniform(size=shape).astype("float32")


def drawn(likelihood, *noise_known_mask):
    """Images from noise, on JAX compiled: else each operation would be compiled for itself."""
    if keras.backend.backend() == "tensorflow":
        return np.asarray(likelihood.from_noise(*noise_known_mask))
    return np.asarray(compiled(likelihood.network, likelihood.from_noise)(*noise_known_mask))


def drawn_by_whole_passes(likelihood, noise):
    """Compiled, since each pass would call each layer."""
    return np.asarray(compiled(likelihood.network, likelihood.from_noise)(noise))


def raster(likelihood, noise):
    """The naive sampler: one pass of the network for each channel of each pixel."""
    images = np.zeros_like(noise)
    parameters_of = compiled(likelihood.network, likelihood.parameters_of)
    for place in np.ndindex(noise.shape[1:]):
        place = (slice(None), *place)
        logits = np.asarray(parameters_of(images))[place]
        images[place] = noise[place] < 1 / (1 + np.exp(-logits))
    return images


def test_sums_to_one_over_all_images(make):
    likelihood = likelihood_of(make, 512, (3, 3, 1), same=True)
    log_prob = np.asarray(likelihood.log_prob(all_images(3, 3, 1)), "float64")
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-4)
    # No uniform distribution, which would sum to one with any mask.
    assert np.ptp(log_prob) > 1.0


def test_channels_of_a_pixel_sum_to_one_too():
    likelihood = likelihood_of(NETWORKS["local, cone"], 256, (2, 2, 2), same=True)
    log_prob = np.asarray(likelihood.log_prob(all_images(2, 2, 2)), "float64")
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-4)


@pytest.mark.parametrize("name", ORDERED)
def test_ordered_channels_sum_to_one_and_depend_on_one_another(name):
    likelihood = likelihood_of(ORDERED[name], 256, (2, 2, 2), same=True)
    probabilities = np.exp(np.asarray(likelihood.log_prob(all_images(2, 2, 2)), "float64"))
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-4)
    # Of the first pixel, given that its first channel is 0 and 1.
    of_first_pixel = probabilities.reshape(2, 2, -1).sum(axis=-1)
    second = of_first_pixel[:, 1] / of_first_pixel.sum(axis=1)
    assert abs(second[0] - second[1]) > 1e-3


@pytest.mark.parametrize("shape", [(5, 6, 2), (7, 5, 4)])
@pytest.mark.parametrize("name", [pytest.param(name, marks=jax) for name in ORDERED])
def test_ordered_channels_are_drawn_as_by_the_naive_sampler(name, shape):
    likelihood, noise = likelihood_of(ORDERED[name], 4, shape), uniform(4, *shape)
    images = drawn(likelihood, noise)
    if shape == (5, 6, 2):
        np.testing.assert_array_equal(images, raster(likelihood, noise))
    # By whole passes, too, where there are no columns.
    network = likelihood.network
    likelihood.network = HasSlope(network, network.receptive_field.slope, network.groups)
    np.testing.assert_array_equal(drawn_by_whole_passes(likelihood, noise), images)
    likelihood.network = HasSlope(network, network.receptive_field.slope, groups=1)
    assert np.any(drawn_by_whole_passes(likelihood, noise) != images)


@pytest.mark.parametrize("name", ORDERED)
def test_frequencies_of_ordered_channels_are_their_probabilities(name):
    likelihood = likelihood_of(ORDERED[name], 4000, (1, 2, 2), same=True, scale=0.3)
    samples = np.asarray(likelihood.sample(seed=stateless_seed(0)))
    observed = np.bincount((samples.reshape(4000, 4) @ [8, 4, 2, 1]).astype(int), minlength=16)
    single = PixelCNNBernoulli(likelihood.network, likelihood.conditioning[:16], (1, 2, 2))
    expected = 4000 * np.exp(np.asarray(single.log_prob(all_images(1, 2, 2)), "float64"))
    assert expected.min() > 5
    # The 99.9 % quantile of chi-square with 15 degrees of freedom.
    assert np.sum((observed - expected) ** 2 / expected) < 37.7


def test_log_prob_is_the_product_over_pixels_of_what_came_before(make):
    likelihood = likelihood_of(make, 3, (4, 5, 1))
    images = (uniform(3, 4, 5, 1) < 0.5).astype("float32")
    expected, known = 0.0, np.zeros_like(images)
    for i, j in np.ndindex(4, 5):
        # Later pixels are all zero here, so no logit can have seen them.
        logits = np.asarray(likelihood.parameters_of(known), "float64")[:, i, j, 0]
        sign = 2 * images[:, i, j, 0] - 1
        expected = expected - np.log1p(np.exp(-sign * logits))
        known[:, i, j] = images[:, i, j]
    np.testing.assert_allclose(likelihood.log_prob(images), expected, rtol=1e-4)


def test_wavefront_gives_the_pixels_of_the_naive_sampler(make):
    likelihood, noise = likelihood_of(make, 8, (5, 6, 1)), uniform(8, 5, 6, 1)
    images = drawn(likelihood, noise)
    np.testing.assert_array_equal(images, raster(likelihood, noise))
    assert 0.05 < images.mean() < 0.95


def test_wavefront_needs_the_whole_slope():
    likelihood = likelihood_of(NETWORKS["local, cone"], 64, (5, 6, 1), scale=1.0)
    noise, slope = uniform(64, 5, 6, 1), likelihood.network.receptive_field.slope
    full = likelihood.from_noise(noise)
    likelihood.network = HasSlope(likelihood.network, slope - 1)
    assert np.any(np.asarray(likelihood.from_noise(noise)) != np.asarray(full))


class HasSlope:
    """A network without columns that claims another slope or other groups than its own."""

    def __init__(self, network, slope, groups=1):
        self.network, self.receptive_field = network, ReceptiveField(0, 0, 0, slope)
        self.groups, self.variables = groups, network.variables

    def call(self, images, conditioning, training=False):
        return self.network(images, conditioning, training=training)

    __call__ = call


@jax
@pytest.mark.parametrize(("slope", "steps"), [(0, 6), (1, 8), (3, 12)])
def test_wavefront_takes_as_many_steps_as_the_slope_asks_for(slope, steps):
    # Each step adds one to every pixel, of which the pixels of its front are kept.
    front = Wavefront(3, 4, slope)
    counts = front.fill(lambda x: ops.max(x) + 1 + 0 * x, ops.zeros((1, 3, 4, 1)))
    assert front.steps == steps
    assert np.max(np.asarray(counts)) == steps
    order = np.asarray(counts)[0, :, :, 0]
    np.testing.assert_array_equal(order - 1, np.add.outer(np.arange(3) * (slope + 1), np.arange(4)))


@jax
def test_image_of_a_row_does_not_depend_on_its_batch():
    noise = uniform(6, 4, 4, 1)
    whole = likelihood_of(NETWORKS["local, cone"], 6, (4, 4, 1))
    images = drawn(whole, noise)
    for rows in (slice(0, 1), slice(2, 5)):
        part = PixelCNNBernoulli(whole.network, whole.conditioning[rows], (4, 4, 1))
        np.testing.assert_array_equal(drawn(part, noise[rows]), images[rows])


def test_frequencies_of_samples_are_their_probabilities(make):
    likelihood = likelihood_of(make, 4000, (2, 2, 1), same=True, scale=0.25)
    samples = np.asarray(likelihood.sample(seed=stateless_seed(0)))
    numbers = samples.reshape(4000, 4) @ [8, 4, 2, 1]
    observed = np.bincount(numbers.astype(int), minlength=16)
    images = all_images(2, 2, 1)
    single = PixelCNNBernoulli(likelihood.network, likelihood.conditioning[:16], (2, 2, 1))
    expected = 4000 * np.exp(np.asarray(single.log_prob(images), "float64"))
    assert expected.min() > 5
    # The 99.9 % quantile of chi-square with 15 degrees of freedom.
    assert np.sum((observed - expected) ** 2 / expected) < 37.7


@jax
def test_mode_takes_each_pixel_at_its_most_probable():
    likelihood = likelihood_of(NETWORKS["local, cone"], 4, (4, 4, 1))
    mode = np.asarray(likelihood.mode())
    np.testing.assert_array_equal(mode, np.asarray(likelihood.parameters_of(mode)) > 0)
    assert 0 < mode.mean() < 1


@jax
def test_shapes_and_seeds_of_samples():
    likelihood = likelihood_of(NETWORKS["local, 3"], 2, (3, 4, 1))
    assert tuple(likelihood.batch_shape) == (2,)
    assert tuple(likelihood.event_shape) == (3, 4, 1)
    assert likelihood.sample(seed=stateless_seed(0)).shape == (2, 3, 4, 1)
    samples, same, other = (
        np.asarray(likelihood.sample(5, seed=stateless_seed(n))) for n in (1, 1, 2)
    )
    assert samples.shape == (5, 2, 3, 4, 1) and set(np.unique(samples)) == {0.0, 1.0}
    np.testing.assert_array_equal(samples, same)
    assert np.any(samples != other)
    each = np.stack([np.asarray(likelihood.log_prob(images)) for images in samples])
    np.testing.assert_allclose(likelihood.log_prob(samples), each, rtol=1e-5)


@jax
def test_one_image_under_every_code():
    likelihood = likelihood_of(NETWORKS["local, cone"], 3, (4, 4, 1))
    image = (uniform(4, 4, 1) < 0.5).astype("float32")
    expected = likelihood.log_prob(np.repeat(image[None], 3, axis=0))
    np.testing.assert_allclose(likelihood.log_prob(image), expected, rtol=1e-5)


@jax
@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_images_may_be_of_any_type(dtype):
    likelihood = likelihood_of(NETWORKS["local, 3"], 2, (3, 3, 1))
    images = uniform(2, 3, 3, 1) < 0.5
    expected = likelihood.log_prob(images.astype("float32"))
    np.testing.assert_array_equal(likelihood.log_prob(images.astype(dtype)), expected)


def test_log_prob_is_float32_under_mixed_precision(make):
    likelihood = likelihood_of(make, 2, (4, 4, 1), dtype="mixed_bfloat16")
    exact = likelihood_of(make, 2, (4, 4, 1))
    images = (uniform(2, 4, 4, 1) < 0.5).astype("float32")
    log_prob = likelihood.log_prob(images)
    assert keras.backend.standardize_dtype(log_prob.dtype) == "float32"
    np.testing.assert_allclose(log_prob, exact.log_prob(images), rtol=0.05)
    assert keras.backend.standardize_dtype(likelihood.mode().dtype) == "float32"


@pytest.mark.parametrize(
    ("name", "jit_compile"),
    [("local, cone", True), ("residual, tied", False), ("gated, block", True)],
)
def test_compiled_with_a_batch_of_any_size(name, jit_compile):
    import tensorflow as tf

    whole = likelihood_of(NETWORKS[name], 3, (3, 4, 1))
    spec = [tf.TensorSpec((None, 3, 4, 2)), tf.TensorSpec((None, 3, 4, 1))]

    @tf.function(jit_compile=jit_compile, input_signature=spec, autograph=False)
    def sample_and_log_prob(maps, noise):
        likelihood = PixelCNNBernoulli(whole.network, maps, (3, 4, 1))
        images = likelihood.from_noise(noise)
        return images, likelihood.log_prob(images), likelihood.sample(2, seed=(0, 1))

    noise = uniform(3, 3, 4, 1)
    for rows in (1, 3):
        images, log_prob, samples = sample_and_log_prob(whole.conditioning[:rows], noise[:rows])
        np.testing.assert_array_equal(images, whole.from_noise(noise)[:rows])
        np.testing.assert_allclose(
            log_prob, whole.log_prob(whole.from_noise(noise))[:rows], rtol=1e-4
        )
        assert samples.shape == (2, rows, 3, 4, 1)


def test_columns_give_the_pixels_of_whole_passes(make):
    # At a size where columns are shorter than the image is high, so that slots are used again.
    likelihood, noise = likelihood_of(make, 4, (9, 5, 1)), uniform(4, 9, 5, 1)
    slope = likelihood.network.receptive_field.slope
    assert slope == 0 or Wavefront(9, 5, slope).slots < 9
    images = drawn(likelihood, noise)
    likelihood.network = HasSlope(likelihood.network, slope)
    np.testing.assert_array_equal(drawn_by_whole_passes(likelihood, noise), images)


def test_columns_in_half_precision_are_those_of_whole_passes_but_for_rounding():
    likelihood = likelihood_of(
        NETWORKS["local, cone"], 16, (8, 8, 1), dtype=keras.DTypePolicy("mixed_bfloat16")
    )
    noise = uniform(16, 8, 8, 1)
    images = np.asarray(likelihood.from_noise(noise))
    # The first pixel that differs must have been close to even, and after it all may differ.
    logits = np.asarray(likelihood.parameters_of(images))
    surprise = (noise < 1 / (1 + np.exp(-logits))) != images
    assert surprise.mean() < 0.01
    assert 0.05 < images.mean() < 0.95


@jax
def test_known_pixels_stay_and_the_others_follow_them():
    likelihood = likelihood_of(NETWORKS["local, cone"], 6, (5, 6, 1))
    noise = uniform(6, 5, 6, 1)
    known = (uniform(6, 5, 6, 1)[::-1] < 0.5).astype("float32")
    mask = np.zeros((6, 5, 6, 1), bool)
    mask[:, :2] = True
    images = drawn(likelihood, noise, known, mask)
    np.testing.assert_array_equal(images[:, :2], known[:, :2])
    expected = noise < 1 / (1 + np.exp(-np.asarray(likelihood.parameters_of(images))))
    np.testing.assert_array_equal(images[:, 2:], expected[:, 2:])
    assert np.any(images != drawn(likelihood, noise))


@pytest.mark.parametrize("side", [0, 1, 2])
@pytest.mark.parametrize("slope", [0, 1, 2, 5])
def test_columns_and_images_undo_each_other(slope, side):
    front = Wavefront(7, 6, slope, side)
    images = uniform(3, 7, 6, 2)
    columns = front.columns(images, np.arange(front.steps))
    assert columns.shape == (front.steps, 3, front.slots, 1, 2)
    np.testing.assert_array_equal(front.images(columns), images)
    # Each pixel has one place.
    index, inside = front.places(np.arange(front.steps))
    assert sorted(index[inside].tolist()) == list(range(42))

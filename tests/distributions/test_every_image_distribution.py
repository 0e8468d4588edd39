"""What every distribution over images promises: a distribution is a row in a table."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

import vlae_tf.distributions
from tests.gradients import randomise
from tests.tiny import numpy_of
from vlae_tf.distributions import (
    DiscretisedLogisticMixture,
    FactorisedBernoulli,
    FactorisedGaussian,
    FactorisedLogisticMixture,
    ImageDistribution,
    PixelCNNBernoulli,
    PixelCNNLogisticMixture,
)
from vlae_tf.layers import LocalPixelCNN

pytestmark = pytest.mark.jax
ROWS = 2
RANDOM = np.random.default_rng(0)


def network(outputs, shape):
    layer = LocalPixelCNN(outputs, filters=3, blocks=1, first_kernel_size=3)
    layer.build((None, *shape), (None, *shape[:2], 2))
    return randomise(layer, 0.3)


def maps(shape, channels=2):
    values = np.random.default_rng(1).normal(size=(ROWS, *shape[:2], channels))
    return ops.convert_to_tensor(values.astype("float32"))


def mixture(shape, levels):
    size = DiscretisedLogisticMixture.parameter_count(shape[-1], 2)
    return DiscretisedLogisticMixture.of_parameters(maps(shape, size), shape[-1], levels)


# By name: what makes it, for two rows of images of a shape and a number of levels.
DISTRIBUTIONS = {
    "FactorisedBernoulli": (lambda s, n: FactorisedBernoulli(maps(s, 1)), (2, 3, 1), 2),
    # Far from the lowest and the highest level, beyond which its mass is lost.
    "FactorisedGaussian": (
        lambda s, n: FactorisedGaussian(n / 2 + maps(s, 1), 1.1, n),
        (1, 2, 1),
        20,
    ),
    "FactorisedLogisticMixture": (
        lambda s, n: FactorisedLogisticMixture(mixture(s, n)),
        (1, 2, 3),
        2,
    ),
    "PixelCNNBernoulli": (
        lambda s, n: PixelCNNBernoulli(network(1, s), maps(s), s),
        (2, 3, 1),
        2,
    ),
    "PixelCNNLogisticMixture": (
        lambda s, n: PixelCNNLogisticMixture(
            network(PixelCNNLogisticMixture.parameter_count(1, 2), s), maps(s), s, levels=n
        ),
        (2, 2, 1),
        3,
    ),
}


@pytest.fixture(params=DISTRIBUTIONS, scope="module")
def case(request):
    make, shape, levels = DISTRIBUTIONS[request.param]
    return make(shape, levels), shape, levels


def noise_of(distribution, seed=0):
    shape = (ROWS, *distribution.noise_shape)
    return ops.convert_to_tensor(np.random.default_rng(seed).random(shape).astype("float32"))


def test_every_public_image_distribution_is_tried_here():
    public = {
        name
        for name in vlae_tf.distributions.__all__
        if isinstance(kind := getattr(vlae_tf.distributions, name), type)
        and issubclass(kind, ImageDistribution)
    }
    bases = {"ImageDistribution", "AutoregressiveImages", "FactorisedImages"}
    assert public - bases == set(DISTRIBUTIONS)


def test_probabilities_sum_to_one(case):
    distribution, shape, levels = case
    pixels = list(itertools.product(range(levels), repeat=int(np.prod(shape))))
    images = np.array(pixels, "float32").reshape(-1, 1, *shape)
    images = np.broadcast_to(images, (len(images), ROWS, *shape))
    log_prob = np.array([numpy_of(distribution.log_prob(image)) for image in images])
    assert log_prob.dtype == np.float32
    np.testing.assert_allclose(np.exp(log_prob.astype("float64")).sum(0), 1.0, rtol=1e-4)


@pytest.mark.parametrize("change", ["one pixel", "no channel", "one more row"])
def test_images_of_another_shape_are_refused(case, change):
    """One pixel for all was broadcast, and had a plausible probability."""
    distribution, shape, _ = case
    other = {
        "one pixel": (1, 1, shape[-1]),
        "no channel": shape[:2],
        "one more row": (shape[0] + 1, *shape[1:]),
    }[change]
    with pytest.raises(ValueError, match="`images` must be of shape .* Received: images of shape"):
        distribution.log_prob(ops.zeros((ROWS, *other)))


def test_noise_decides_the_image(case):
    distribution, shape, levels = case
    noise = noise_of(distribution)
    image = numpy_of(distribution.from_noise(noise))
    assert image.shape == (ROWS, *shape) and image.dtype == np.float32
    assert set(np.unique(image)) <= set(range(levels))
    np.testing.assert_array_equal(numpy_of(distribution.from_noise(noise)), image)
    others = {
        numpy_of(distribution.from_noise(noise_of(distribution, s))).tobytes() for s in range(3)
    }
    assert len(others) > 1


def test_rows_do_not_mix(case):
    distribution, _, _ = case
    noise, other = numpy_of(noise_of(distribution)), numpy_of(noise_of(distribution, 5))
    other[0] = noise[0]
    first, second = (
        numpy_of(distribution.from_noise(ops.convert_to_tensor(n))) for n in (noise, other)
    )
    np.testing.assert_array_equal(first[0], second[0])


def test_known_pixels_stay(case):
    distribution, shape, levels = case
    known = np.full((ROWS, *shape), levels - 1, "float32")
    mask = np.zeros((ROWS, *shape), bool)
    mask[:, :1, :1] = True
    image = numpy_of(distribution.from_noise(noise_of(distribution), known, mask))
    assert (image[:, 0, 0] == levels - 1).all()


def test_images_of_any_number_type_and_float32_results(case):
    distribution, shape, levels = case
    images = np.random.default_rng(2).integers(0, levels, (ROWS, *shape))
    expected = distribution.log_prob(images.astype("float32"))
    assert keras.backend.standardize_dtype(expected.dtype) == "float32"
    found = distribution.log_prob(images.astype("uint8"))
    np.testing.assert_array_equal(numpy_of(found), numpy_of(expected))

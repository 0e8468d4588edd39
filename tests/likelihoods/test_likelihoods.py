"""The likelihoods one by one, beside what tests/test_every_part.py asks of all."""

import itertools

import keras
import numpy as np
import pytest

from tests.gradients import randomise
from tests.tiny import numpy_of
from vlae_tf.layers import GatedPixelCNN, LocalPixelCNN, ResidualPixelCNN
from vlae_tf.likelihoods import BernoulliLikelihood, PixelCNNLikelihood

SHAPE = (4, 4, 1)


@pytest.mark.jax
def test_pixelcnn_likelihood_keeps_the_network_it_was_given():
    network = LocalPixelCNN(filters=2, blocks=0, first_kernel_size=3)
    family = PixelCNNLikelihood(SHAPE, network=network)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(family))
    assert copy.network.filters == 2 and copy.network.blocks == 0
    assert copy.image_shape == SHAPE


@pytest.mark.jax
@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool"])
@pytest.mark.parametrize(
    "family",
    [BernoulliLikelihood(SHAPE), PixelCNNLikelihood(SHAPE, LocalPixelCNN(filters=2, blocks=0))],
    ids=["factorised", "pixelcnn"],
)
def test_likelihood_takes_images_of_any_number_type(family, dtype):
    maps = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype("float32")
    images = np.random.default_rng(1).integers(0, 2, (3, *SHAPE))
    distribution = family.distribution(maps)
    expected = numpy_of(distribution.log_prob(images.astype("float32")))
    assert expected.shape == (3,) and (expected < 0).all()
    np.testing.assert_array_equal(numpy_of(distribution.log_prob(images.astype(dtype))), expected)


@pytest.mark.jax
@pytest.mark.parametrize("network", [LocalPixelCNN, ResidualPixelCNN, GatedPixelCNN])
def test_pixelcnn_likelihood_is_a_distribution_that_hears_the_code(network):
    family = PixelCNNLikelihood((2, 3, 1), network(filters=3))
    family.build((None, 2, 3, 4))
    randomise(family, 0.3)
    pixels = np.array(list(itertools.product([0, 1], repeat=6)), "float32").reshape(64, 2, 3, 1)
    log_probs = []
    for seed in range(2):
        maps = np.random.default_rng(seed).normal(size=(1, 2, 3, 4)).astype("float32")
        distribution = family.distribution(np.repeat(maps, 64, axis=0))
        log_probs.append(numpy_of(distribution.log_prob(pixels)))
        np.testing.assert_allclose(np.exp(log_probs[-1]).sum(), 1, rtol=1e-4)
    assert abs(log_probs[0] - log_probs[1]).max() > 0.1


def test_a_network_for_other_channels_is_refused():
    with pytest.raises(
        ValueError, match="must have 3 `output_channels`.*Received: network.output_channels=1"
    ):
        PixelCNNLikelihood((4, 4, 3), network=LocalPixelCNN())


@pytest.mark.jax
def test_pixelcnn_likelihood_gives_logits_of_images():
    family = PixelCNNLikelihood(SHAPE, LocalPixelCNN(filters=2, blocks=0))
    maps, images = np.ones((3, 4, 4, 2), "float32"), np.ones((3, *SHAPE), "float32")
    logits = numpy_of(family(maps, images))
    expected = (images * logits - np.logaddexp(0, logits)).sum((1, 2, 3))
    np.testing.assert_allclose(
        numpy_of(family.distribution(maps).log_prob(images)), expected, rtol=1e-5
    )

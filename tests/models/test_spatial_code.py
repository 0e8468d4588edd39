"""Codes laid out as maps: each position belongs to its own place in the image."""

import keras
import numpy as np
import pytest

import vlae_tf
from tests.gradients import jacobian
from vlae_tf.layers import LocalPixelCNN
from vlae_tf.likelihoods import PixelCNNLikelihood
from vlae_tf.networks import ResNetDecoder, ResNetEncoder
from vlae_tf.posteriors import GaussianPosterior
from vlae_tf.priors import SpatialFlowPrior

CODE = (4, 4, 2)
IMAGES = (np.random.default_rng(0).random((5, 16, 16, 1)) < 0.5).astype("uint8")
pytestmark = pytest.mark.jax


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return vlae_tf.VLAE(
        (16, 16, 1),
        32,
        ResNetEncoder(filters=[3, 4, 4], blocks=0, units=None),
        ResNetDecoder((16, 16, 1), 3, [3, 4, 4], 0, code_shape=CODE),
        GaussianPosterior(32, CODE),
        SpatialFlowPrior(CODE, steps=2, filters=4),
        PixelCNNLikelihood((16, 16, 1), LocalPixelCNN(filters=3, blocks=0)),
    )


def test_it_trains_and_draws(model):
    on_jax = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.Adamax(1e-2), run_eagerly=not on_jax, jit_compile=on_jax)
    history = model.fit(IMAGES, epochs=15, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 5
    assert model.encode(IMAGES).shape == (5, 32)
    np.testing.assert_array_equal(model.sample(3, seed=1)[:2], model.sample(2, seed=1))


def test_a_position_of_the_code_comes_from_its_place_and_goes_there(model):
    code = model.encode(IMAGES)
    other = IMAGES.copy()
    other[:, :2, :2] = 1 - other[:, :2, :2]
    changed = np.abs(model.encode(other) - code).reshape(5, *CODE).max(axis=(0, 3))
    assert changed[0, 0] > 1e-3 and changed[3, 3] == 0
    maps = jacobian(lambda z: model.decoder(z)[:, :, :, 0], np.zeros(32))
    reached = np.abs(maps).reshape(16, 16, *CODE).max(axis=-1)
    assert reached[0, 0, 0, 0] > 0 and reached[15, 15, 0, 0] == 0


def test_parts_keep_their_arguments(model):
    for part in (model.encoder, model.decoder, model.posterior_family, model.prior_family):
        copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(part))
        assert copy.get_config() == part.get_config()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GaussianPosterior(31, CODE), "`code_shape` must be of the 31 numbers"),
        (lambda: GaussianPosterior(32, CODE).build((None, 33)), "maps of 4x4, flattened"),
        (
            lambda: ResNetDecoder((16, 16, 1), filters=[3, 4], code_shape=CODE),
            "height and width of the smallest map, .8, 8.",
        ),
        (
            lambda: vlae_tf.VLAE((16, 16, 1), 16, prior_family=SpatialFlowPrior(CODE, steps=0)),
            "`prior_family` must have the model's latent_dim, 16",
        ),
    ],
)
def test_what_does_not_fit(make, words):
    with pytest.raises(ValueError, match=words):
        make()

"""The Gaussian likelihood of images of 256 levels, against the density written out."""

import keras
import numpy as np
import pytest

from tests.systems import fully_connected
from tests.tiny import numpy_of, random_images, tiny_model
from vlae_tf.likelihoods import GaussianLikelihood
from vlae_tf.networks import MLPDecoder
from vlae_tf.posteriors import LaplacePosterior

pytestmark = pytest.mark.jax
SHAPE = (2, 3, 1)
MAPS = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")


def family_of(images=None, shape=SHAPE):
    family = GaussianLikelihood(shape, projection=False)
    family.build((None, *shape))
    if images is not None:
        family.initialize_from_data(images)
    return family


def test_it_starts_from_the_mean_image_and_the_distances_from_it():
    images = random_images(50, SHAPE, 256)
    family = family_of(images)
    mean = images.mean(axis=0)
    distribution = family.distribution(np.zeros_like(MAPS))
    np.testing.assert_allclose(numpy_of(distribution.distribution.loc)[0], mean, rtol=1e-5)
    deviation = np.sqrt(np.mean((images - mean) ** 2))
    assert float(distribution.distribution.scale) == pytest.approx(deviation, rel=1e-5)


def test_log_prob_is_the_density_in_units_of_levels():
    images = random_images(4, SHAPE, 256)
    distribution = family_of(images).distribution(0.1 * MAPS)
    loc, scale = numpy_of(distribution.distribution.loc), float(distribution.distribution.scale)
    terms = -0.5 * ((images - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)
    expected = terms.reshape(4, -1).sum(-1)
    np.testing.assert_allclose(numpy_of(distribution.log_prob(images)), expected, rtol=1e-5)


def test_images_that_are_all_the_same_keep_a_scale_of_one_level():
    """Where density has no bound, and the probabilities of the levels would sum to more than 1."""
    family = family_of(np.full((5, *SHAPE), 100, "uint8"))
    assert float(family.variance()) == pytest.approx(255.0**-2)
    family._log_variance.assign(-50.0)
    assert float(family.variance()) == pytest.approx(255.0**-2)
    pixel = family_of(shape=(1, 1, 1))
    pixel._log_variance.assign(-50.0)
    levels = np.arange(256, dtype="float32").reshape(-1, 1, 1, 1)
    for mean in (0.5, 0.5 + 0.25 / 255):
        distribution = pixel.distribution(np.full((256, 1, 1, 1), mean, "float32"))
        total = np.exp(numpy_of(distribution.log_prob(levels)).astype("float64")).sum()
        assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("projection", [True, False])
def test_grey_images_train_with_a_laplace_posterior(dtype, projection):
    images = random_images(8, SHAPE, 256)
    model = tiny_model(
        SHAPE,
        2,
        levels=256,
        dtype=dtype,
        **fully_connected(
            decoder=MLPDecoder(SHAPE, units=[4], activation="relu", dtype=dtype),
            posterior_family=LaplacePosterior(2),
            likelihood_family=GaussianLikelihood(SHAPE, projection=projection),
        ),
    )
    model.initialize_from_data(images)
    jax = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=not jax)
    history = model.fit(images, batch_size=4, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    posterior = model.posterior(images)
    for value in (posterior.center(), posterior.spread()):
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
    drawn = model.sample(5, seed=0)
    assert drawn.min() >= 0 and drawn.max() <= 255 and (drawn == np.round(drawn)).all()

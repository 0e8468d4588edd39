"""Every system in float64: the same model, its rounding errors a hundred million times smaller."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.systems import PARTS, SHAPE, SIZE, make_system
from tests.tiny import all_images, numpy_of
from vlae_tf.backend import double_precision
from vlae_tf.models.folder import model_config
from vlae_tf.objectives import log_weights
from vlae_tf.runs import load_run


def in_double(model, folder):
    """The model, written and loaded as float64."""
    (folder / "config.json").write_text(model_config(model))
    model.save_weights(folder / "model.weights.h5")
    return load_run(folder, "float64")


@pytest.mark.jax
@pytest.mark.parametrize("name", [name for name in PARTS if "outside" not in name])
def test_log_weights_are_those_of_float32_and_rows_agree(name, tmp_path, eager):
    model = make_system(name)
    images = all_images(SHAPE)[::7]
    noise = np.random.default_rng(0).standard_normal((2, len(images), model.latent_dim))
    single = numpy_of(log_weights(model, images.astype("float32"), noise.astype("float32")).log_w)
    with double_precision():
        double = in_double(model, tmp_path)
        assert {layer.compute_dtype for layer in double._flatten_layers()} == {"float64"}
        noise = ops.convert_to_tensor(noise)
        log_w = log_weights(double, images, noise).log_w
        assert keras.backend.standardize_dtype(log_w.dtype) == "float64"
        np.testing.assert_allclose(single, numpy_of(log_w), rtol=1e-4, atol=1e-4)
        alone = [
            numpy_of(log_weights(double, images[[row]], noise[:, row : row + 1]).log_w)
            for row in range(len(images))
        ]
        np.testing.assert_allclose(np.concatenate(alone, axis=1), log_w, rtol=0, atol=1e-12)


@pytest.mark.jax
def test_float64_draws_images_and_measures(tmp_path, eager):
    with double_precision():
        model = in_double(make_system("VLAE"), tmp_path)
        images = model.sample(3, seed=0)
        assert images.shape == (3, *SHAPE) and set(np.unique(images)) <= {0.0, 1.0}
        assert model.encode(images).shape == (3, SIZE)
        assert np.isfinite(model.log_likelihood(images, importance_samples=2)).all()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow always has float64")
@pytest.mark.jax
def test_float64_must_be_allowed_on_jax(tmp_path):
    with pytest.raises(ValueError, match="JAX_ENABLE_X64=1.*Received: dtype='float64'"):
        in_double(make_system("VLAE"), tmp_path)

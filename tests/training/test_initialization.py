import numpy as np
import pytest
from keras import ops

from vlae_tf.layers import KernelLayer
from vlae_tf.training import initialize_from_images

pytestmark = pytest.mark.jax


def test_every_weight_normalised_layer_is_initialised(tiny_recipe):
    model = tiny_recipe("digits.npz").build_model((8, 8, 1))
    layers = [layer for layer in model._flatten_layers() if getattr(layer, "weight_norm", False)]
    layers = [layer for layer in layers if isinstance(layer, KernelLayer)]
    assert {layer.path.split("/")[0] for layer in layers}
    before = [np.array(ops.convert_to_numpy(layer.gain)) for layer in layers]
    images = np.random.default_rng(0).integers(0, 2, (50, 8, 8, 1), "uint8")
    initialize_from_images(model, images)
    for layer, gain in zip(layers, before, strict=True):
        assert (ops.convert_to_numpy(layer.gain) != gain).any(), layer.path
        assert not layer.initializing_from_data


def test_outputs_are_normalised_where_the_images_enter(tiny_recipe):
    model = tiny_recipe("digits.npz").build_model((8, 8, 1))
    images = np.random.default_rng(0).integers(0, 2, (50, 8, 8, 1), "uint8")
    initialize_from_images(model, images)
    outputs = ops.convert_to_numpy(model.encoder._first(2.0 * images.astype("float32") - 1.0))
    np.testing.assert_allclose(outputs.mean((0, 1, 2)), 0.0, atol=1e-4)
    np.testing.assert_allclose(outputs.std((0, 1, 2)), 1.0, rtol=1e-3)

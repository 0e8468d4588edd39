"""Weight normalisation and its initialisation from data, and zeros in place of what masks take out,
in every kind of kernel."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import randomise
from vlae_tf.layers import (
    Conv2D,
    Dense,
    GatedPixelCNN,
    LocalPixelCNN,
    MaskedConv2D,
    MaskedDense,
    ResidualPixelCNN,
    initialize_from_data,
)

IMAGES = np.random.default_rng(0).normal(2.0, 3.0, size=(16, 4, 4, 2)).astype("float32")
ROWS = IMAGES.reshape(-1, 4)

KERNELS = {
    "dense": (lambda **kw: Dense(3, **kw), ROWS),
    "masked dense": (lambda **kw: MaskedDense(2, mask=np.tri(4, 2, -1), **kw), ROWS),
    "convolution": (lambda **kw: Conv2D(3, 3, strides=2, **kw), IMAGES),
    "transposed convolution": (lambda **kw: Conv2D(3, 3, upsample=2, **kw), IMAGES),
    "masked convolution": (lambda **kw: MaskedConv2D(3, 3, mask_type="A", **kw), IMAGES),
}


# Some also on JAX: compiling each takes long.
ON_JAX = ("masked dense", "masked convolution")


@pytest.fixture(
    params=[
        pytest.param(case, id=name, marks=[pytest.mark.jax] if name in ON_JAX else [])
        for name, case in KERNELS.items()
    ]
)
def make_and_inputs(request):
    return request.param


def test_norm_of_the_kernel_is_the_gain(make_and_inputs):
    make, inputs = make_and_inputs
    layer = make(weight_norm=True)
    layer.build(inputs.shape)
    kernel = np.asarray(randomise(layer).kernel)
    norm = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), axis=0)
    np.testing.assert_allclose(norm, np.abs(np.asarray(layer.gain)), rtol=1e-5)


def test_starts_as_the_layer_without_it(make_and_inputs):
    make, inputs = make_and_inputs
    layers = [
        make(weight_norm=weight_norm, kernel_initializer=keras.initializers.GlorotUniform(1))
        for weight_norm in (False, True)
    ]
    plain, normed = (layer(inputs) for layer in layers)
    np.testing.assert_allclose(normed, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("weight_norm", [False, True])
def test_weights_that_the_mask_takes_out_can_be_zero(make_and_inputs, weight_norm):
    make, inputs = make_and_inputs
    layer = make(weight_norm=weight_norm)
    layer.build(inputs.shape)
    kernel, outputs = np.asarray(randomise(layer)._kernel), np.asarray(layer(inputs))
    used = np.asarray(layer.kernel) != 0
    layer.zero_masked()
    np.testing.assert_array_equal(np.asarray(layer._kernel), np.where(used, kernel, 0))
    np.testing.assert_array_equal(np.asarray(layer(inputs)), outputs)


@pytest.mark.parametrize("init_scale", [1.0, 0.1])
def test_initialisation_normalises_the_outputs_on_that_batch(make_and_inputs, init_scale):
    make, inputs = make_and_inputs
    layer = make(weight_norm=True, init_scale=init_scale)
    layer.build(inputs.shape)
    initialize_from_data(layer, inputs)
    outputs = np.asarray(layer(inputs))
    axes = tuple(range(outputs.ndim - 1))
    np.testing.assert_allclose(outputs.mean(axes), 0.0, atol=1e-4)
    np.testing.assert_allclose(outputs.std(axes), init_scale, rtol=1e-3)


@pytest.mark.jax
def test_output_that_sees_nothing_stays_finite_and_zero():
    layer = MaskedDense(2, mask=[[0, 1]] * 4, weight_norm=True)
    layer.build(ROWS.shape)
    initialize_from_data(layer, ROWS)
    outputs = np.asarray(layer(ROWS))
    np.testing.assert_array_equal(outputs[:, 0], 0.0)
    np.testing.assert_allclose(outputs[:, 1].std(), 1.0, rtol=1e-3)


def test_later_calls_and_plain_layers_are_left_alone():
    normed, plain = Dense(3, weight_norm=True), Dense(3)
    for layer in (normed, plain):
        layer.build(ROWS.shape)
        initialize_from_data(layer, ROWS)
    before = [np.asarray(w).copy() for w in (*normed.weights, *plain.weights)]
    normed(10.0 * ROWS)
    initialize_from_data(plain, ROWS)
    after = [np.asarray(w).copy() for w in (*normed.weights, *plain.weights)]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("network", "sizes"),
    [
        (LocalPixelCNN, {"blocks": 2}),
        (GatedPixelCNN, {"blocks": 2}),
        (ResidualPixelCNN, {"depth": 4}),
    ],
)
def test_whole_network_is_normalised_layer_by_layer(network, sizes):
    network = network(output_channels=2, filters=4, weight_norm=True, **sizes)
    maps = np.ones((*IMAGES.shape[:3], 3), "float32")
    network.build(IMAGES.shape, maps.shape)
    initialize_from_data(network, IMAGES, maps)
    params = np.asarray(network(IMAGES, maps))
    np.testing.assert_allclose(params.mean((0, 1, 2)), 0.0, atol=1e-3)
    np.testing.assert_allclose(params.std((0, 1, 2)), 1.0, rtol=1e-2)


@pytest.mark.jax
def test_tied_layer_is_set_by_its_first_use():
    network = ResidualPixelCNN(filters=4, depth=3, weight_norm=True)
    network.build(IMAGES.shape)
    initialize_from_data(network, IMAGES)
    outputs = np.asarray(network._masked[0](ops.elu(network._first(IMAGES))))
    np.testing.assert_allclose(outputs.std((0, 1, 2)), 1.0, rtol=1e-3)

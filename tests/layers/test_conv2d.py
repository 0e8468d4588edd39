"""Conv2D and ResidualBlock: Keras' own convolutions are the oracle."""

import keras
import numpy as np
import pytest

from tests.gradients import randomise
from vlae_tf.layers import Conv2D, Dense, ResidualBlock

KERNEL_SIZES = [1, 2, pytest.param(3, marks=pytest.mark.jax), (3, 5)]
SIZES = [(6, 7), (1, 1), (5, 4)]


def images_of(size):
    return np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")


@pytest.mark.parametrize("kernel_size", KERNEL_SIZES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_strided_convolution_equals_keras(strides, size, kernel_size):
    images = images_of(size)
    layer = Conv2D(4, kernel_size, strides=strides)
    layer.build(images.shape)
    oracle = keras.layers.Conv2D(4, kernel_size, strides=strides, padding="same")
    oracle.build(images.shape)
    oracle.set_weights([np.asarray(w) for w in randomise(layer).weights])
    np.testing.assert_allclose(layer(images), oracle(images), rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(images.shape) == tuple(layer(images).shape)


@pytest.mark.parametrize("kernel_size", KERNEL_SIZES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("upsample", [2, 3])
def test_upsampling_convolution_equals_keras(upsample, size, kernel_size):
    images = images_of(size)
    layer = Conv2D(4, kernel_size, upsample=upsample)
    layer.build(images.shape)
    oracle = keras.layers.Conv2DTranspose(4, kernel_size, strides=upsample, padding="same")
    oracle.build(images.shape)
    kernel, bias = (np.asarray(w) for w in randomise(layer).weights)
    oracle.set_weights([kernel.transpose(0, 1, 3, 2), bias])
    np.testing.assert_allclose(layer(images), oracle(images), rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape(images.shape) == tuple(layer(images).shape)


@pytest.mark.jax
def test_sizes_may_be_unknown():
    shape = Conv2D(4, 3, strides=2).compute_output_shape((None, None, 5, 1))
    assert shape == (None, None, 3, 4)


@pytest.mark.jax
def test_dense_equals_keras_on_any_rank():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    layer, oracle = Dense(5), keras.layers.Dense(5)
    layer.build(x.shape), oracle.build(x.shape)
    oracle.set_weights([np.asarray(w) for w in randomise(layer).weights])
    np.testing.assert_allclose(layer(x), oracle(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"filters": 3}, (2, 6, 7, 3)),
        ({"filters": 5}, (2, 6, 7, 5)),
        ({"filters": 3, "strides": 2}, (2, 3, 4, 3)),
        ({"filters": 4, "strides": 3}, (2, 2, 3, 4)),
        ({"filters": 3, "upsample": 2}, (2, 12, 14, 3)),
        ({"filters": 4, "upsample": 3, "kernel_size": 5}, (2, 18, 21, 4)),
        ({"filters": 4, "kernel_size": (1, 3)}, (2, 6, 7, 4)),
    ],
)
def test_shapes_of_a_residual_block(options, shape, weight_norm):
    block = ResidualBlock(weight_norm=weight_norm, **options)
    assert tuple(block(images_of((6, 7))).shape) == shape
    assert block.compute_output_shape((2, 6, 7, 3)) == shape


@pytest.mark.jax
def test_residual_block_whose_last_kernel_is_zero_is_the_identity():
    images = images_of((4, 4))
    block = ResidualBlock(3)
    block.build(images.shape)
    randomise(block)
    for weight in block._second.weights:
        weight.assign(np.zeros(weight.shape))
    np.testing.assert_array_equal(block(images), images)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"strides": 2, "upsample": 2}, "`strides` must be 1 .*strides=2, upsample=2"),
        ({"strides": 0}, "`strides` must be an integer, at least 1. Received: strides=0"),
        ({"upsample": 0}, "`upsample` must be an integer, at least 1. Received: upsample=0"),
        ({"filters": 2.5}, "`filters` must be an integer, at least 1. Received: filters=2.5"),
    ],
)
def test_invalid_sizes_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        Conv2D(**{"filters": 4, "kernel_size": 3, **sizes})

"""A masked convolution sees what its type says, channel by channel, and nothing else."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import jacobian, randomise
from vlae_tf.layers import MaskedConv2D

# One kernel also on JAX: compiling each takes long.
KERNEL_SIZES = [1, 3, 5, pytest.param((3, 5), marks=pytest.mark.jax), (5, 1), (1, 5)]
EVEN_WIDTHS = [pytest.param((3, 4), marks=pytest.mark.jax), (5, 2), (1, 4)]


def allowed(mask_type, row, column, group_in, group_out):
    """Whether the tap `row` down and `column` right of the pixel may be seen."""
    if mask_type in ("above", "rows"):
        return (row < 0) | (row == 0) & (mask_type == "rows")
    earlier = group_in < group_out if mask_type == "A" else group_in <= group_out
    return (row < 0) | (row == 0) & ((column < 0) | (column == 0) & earlier)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("kernel_size", KERNEL_SIZES + EVEN_WIDTHS)
@pytest.mark.parametrize("mask_type", ["A", "B", "above", "rows"])
def test_sees_exactly_the_taps_of_its_type(mask_type, kernel_size, groups):
    layer = MaskedConv2D(2 * groups, kernel_size, mask_type=mask_type, groups=groups)
    image = np.random.default_rng(0).normal(size=(4, 6, 2 * groups))
    layer.build((None, *image.shape))
    seen = jacobian(randomise(layer), image) != 0
    height, width = layer.kernel_size
    i, j, out, below, right, channel = np.indices(seen.shape, sparse=True)
    row, column = below - i, right - j
    within = (abs(row) <= height // 2) & (-(width // 2) <= column) & (column <= (width - 1) // 2)
    expected = within & allowed(mask_type, row, column, channel // 2, out // 2)
    np.testing.assert_array_equal(seen, np.broadcast_to(expected, seen.shape))


def test_groups_of_unequal_width_in_and_out():
    layer = MaskedConv2D(3, 1, mask_type="B", groups=3)
    layer.build((None, 1, 1, 6))
    seen = jacobian(randomise(layer), np.ones((1, 1, 6)))[0, 0, :, 0, 0] != 0
    expected = [[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]]
    np.testing.assert_array_equal(seen, np.array(expected, bool))


@pytest.mark.parametrize("weight_norm", [False, True])
@pytest.mark.parametrize("kernel_size", KERNEL_SIZES)
def test_equals_a_keras_convolution_with_zeros_in_its_kernel(kernel_size, weight_norm):
    layer = MaskedConv2D(3, kernel_size, mask_type="B", weight_norm=weight_norm)
    images = np.random.default_rng(0).normal(size=(2, 6, 5, 2)).astype("float32")
    layer.build(images.shape)
    randomise(layer)
    oracle = keras.layers.Conv2D(3, layer.kernel_size, padding="same")
    oracle.build(images.shape)
    full = np.zeros((*layer.kernel_size, 2, 3), "float32")
    full[: layer.kernel_size[0] // 2 + 1] = ops.convert_to_numpy(layer.kernel)
    oracle.set_weights([full, np.asarray(layer.bias)])
    np.testing.assert_allclose(layer(images), oracle(images), rtol=1e-5, atol=1e-5)


@pytest.mark.jax
def test_masks_hold_after_an_optimiser_step():
    layer = MaskedConv2D(2, 3, mask_type="A")
    layer.build((None, 3, 3, 1))
    # An adaptive optimiser with gradients everywhere: as hard on a mask as a step can be.
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.apply(
        [ops.ones(w.shape) for w in layer.trainable_variables], layer.trainable_variables
    )
    seen = jacobian(layer, np.ones((3, 3, 1)))[1, 1, 0, :, :, 0] != 0
    np.testing.assert_array_equal(seen, [[1, 1, 1], [1, 0, 0], [0, 0, 0]])
    assert np.all(np.asarray(layer._kernel) != 0)


@pytest.mark.parametrize("kernel_size", [2, (4, 3)])
def test_even_height_is_refused(kernel_size):
    with pytest.raises(ValueError, match=r"`kernel_size` must be of odd height.*Received: kernel_"):
        MaskedConv2D(4, kernel_size)


@pytest.mark.parametrize("kernel_size", [0, (3,), (3, 0), 2.5, "3"])
def test_kernel_that_is_no_size_is_refused(kernel_size):
    with pytest.raises(ValueError, match="`kernel_size` must be a positive integer or two of them"):
        MaskedConv2D(4, kernel_size)


def test_unknown_mask_type_is_refused():
    with pytest.raises(ValueError, match="`mask_type` must be one of 'A'.*Received: mask_type='C'"):
        MaskedConv2D(4, 3, mask_type="C")


@pytest.mark.parametrize(
    ("filters", "groups", "message"),
    [
        (4, 3, "`filters` must be a multiple of `groups`, 3. Received: filters=4"),
        (0, 1, "`filters` must be an integer, at least 1. Received: filters=0"),
        (3, 0, "`groups` must be an integer, at least 1. Received: groups=0"),
    ],
)
def test_filters_that_do_not_fall_into_groups_are_refused(filters, groups, message):
    with pytest.raises(ValueError, match=message):
        MaskedConv2D(filters, 3, groups=groups)


def test_channels_that_do_not_fall_into_groups_are_refused():
    with pytest.raises(ValueError, match=r"channels must be a multiple of `groups`=3.*4, 4, 2"):
        MaskedConv2D(3, 3, groups=3)(np.zeros((1, 4, 4, 2)))

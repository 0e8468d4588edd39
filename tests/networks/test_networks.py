"""The networks one by one, beside what tests/test_every_part.py asks of all."""

import numpy as np
import pytest

from tests.gradients import randomise
from tests.tiny import numpy_of
from vlae_tf.layers import DenseBlock, ResidualBlock
from vlae_tf.networks import ResNetDecoder, ResNetEncoder, Unconditional


@pytest.mark.parametrize(
    "filters, blocks", [([2], 1), ([2, 4], 0), ([2, 4, 4], [0, 1, 2])], ids=str
)
def test_encoder_and_decoder_have_the_shapes_they_say(filters, blocks):
    encoder = ResNetEncoder(filters=filters, blocks=blocks, units=5)
    decoder = ResNetDecoder((8, 12, 1), maps=3, filters=filters, blocks=blocks, units=5)
    features = encoder(np.zeros((2, 8, 12, 1), "float32"))
    assert tuple(features.shape) == encoder.compute_output_shape((2, 8, 12, 1)) == (2, 5)
    maps = decoder(np.zeros((2, 4), "float32"))
    assert tuple(maps.shape) == decoder.compute_output_shape((2, 4)) == (2, 8, 12, 3)


@pytest.mark.jax
def test_every_pixel_reaches_the_features_and_every_code_every_map():
    encoder, decoder = ResNetEncoder([2, 4], 1, 5), ResNetDecoder((4, 4, 1), 2, [2, 4], 1, 5)
    pixels = np.eye(16, dtype="float32").reshape(16, 4, 4, 1)
    features = numpy_of(encoder(np.concatenate([np.zeros((1, 4, 4, 1), "float32"), pixels])))
    assert (abs(features[1:] - features[0]).max(1) > 1e-6).all()
    codes = np.concatenate([np.zeros((1, 3)), np.eye(3)]).astype("float32")
    maps = numpy_of(decoder(codes))
    assert (abs(maps[1:] - maps[0]).max((1, 2, 3)) > 1e-6).all()


@pytest.mark.jax
@pytest.mark.parametrize("blocks", [-1, [1], [1, 2, 3], [1, -1], [1, 0.5]], ids=str)
def test_blocks_that_do_not_fit_the_stages_are_refused(blocks):
    with pytest.raises(ValueError, match="`blocks` must be .* of the 2 stages .*Received: blocks="):
        ResNetEncoder(filters=[2, 4], blocks=blocks)


@pytest.mark.jax
def test_an_image_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match=r"divisible by 4, for 3 stages. Received: image_shape="):
        ResNetDecoder((8, 10, 1), filters=[2, 2, 2])


@pytest.mark.jax
@pytest.mark.parametrize(("block", "kind"), [("residual", ResidualBlock), ("dense", DenseBlock)])
def test_blocks_are_of_the_kind_asked_for(block, kind):
    encoder = ResNetEncoder(filters=[2, 4], blocks=[0, 1], units=5, block=block)
    decoder = ResNetDecoder((4, 4, 1), 2, [2, 4], [0, 1], 5, block=block)
    for network in (encoder, decoder):
        assert network.block == block
        assert [type(layer) for layer in network._blocks] == [kind] * 2


@pytest.mark.jax
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResNetEncoder(block="wide"), "`block` must be one of 'residual', 'dense'"),
        (lambda: ResNetEncoder(filters=[]), "`filters` must be a list of one or more integers"),
        (lambda: ResNetEncoder(units=0), "`units` must be an integer, at least 1. Received: units"),
        (lambda: ResNetEncoder(dropout=1.0), "`dropout` must be .* less than 1. Received: dropout"),
        (lambda: ResNetDecoder((4, 4, 1), maps=0), "`maps` must be an integer, at least 1"),
        (lambda: ResNetDecoder((4, 4), maps=2), "`image_shape` must be three positive integers"),
        (
            lambda: ResNetDecoder((8, 8, 1), filters=[2, 2], code_shape=(2, 2, 3)),
            r"of the smallest map, \(4, 4\). Received: code_shape=\(2, 2, 3\)",
        ),
    ],
)
def test_invalid_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.jax
def test_maps_without_a_code_are_those_of_one_zero_for_every_image():
    decoder = ResNetDecoder((4, 4, 1), 2, [2], 1, 5, dropout=0.5, seed=0)
    control = Unconditional(decoder)
    codes = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    control(codes)
    randomise(control)
    maps = numpy_of(control(codes))
    expected = numpy_of(decoder(np.zeros((1, 1), "float32")))
    np.testing.assert_array_equal(maps, np.repeat(expected, 3, axis=0))
    assert control.image_shape == (4, 4, 1) and not control.reads_code
    # In training all images share one noise too: the control is one distribution.
    noisy = numpy_of(control(codes, training=True))
    np.testing.assert_array_equal(noisy[1:], noisy[:-1])
    assert np.any(noisy != maps)

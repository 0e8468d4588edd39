"""The paper's decoder: what is tied, and where the 1x1 blocks stand."""

import numpy as np
import pytest

from tests.gradients import randomise
from vlae_tf.layers import MaskedConv2D, ResidualBlock, ResidualPixelCNN

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
MAPS = np.random.default_rng(1).normal(size=(2, 8, 8, 4)).astype("float32")


def count(network, kind):
    return sum(isinstance(layer, kind) for layer in network._flatten_layers())


def test_defaults_are_the_papers():
    network = ResidualPixelCNN()
    network(IMAGES, MAPS)
    assert (network.depth, network.filters, network.kernel_size) == (6, 12, (3, 3))
    assert count(network, ResidualBlock) == 4
    # Type A on the image, type B on the maps, and the one that the other five share.
    assert count(network, MaskedConv2D) == 3
    untied = ResidualPixelCNN(tied=False)
    untied(IMAGES, MAPS)
    assert count(untied, MaskedConv2D) == 2 + 5
    assert untied.count_params() - network.count_params() == 4 * (6 * 12 * 12 + 12)


@pytest.mark.jax
def test_tied_network_is_the_untied_one_with_equal_weights():
    options = {"filters": 3, "depth": 4, "weight_norm": True}
    tied, untied = ResidualPixelCNN(**options), ResidualPixelCNN(tied=False, **options)
    for network in (tied, untied):
        network.build(IMAGES.shape, MAPS.shape)
    randomise(tied)
    for name in ("_first", "_condition", "_output"):
        copy(getattr(tied, name), getattr(untied, name))
    for one, other in zip(tied._pointwise, untied._pointwise, strict=True):
        copy(one, other)
    for layer in untied._masked:
        copy(tied._masked[0], layer)
    np.testing.assert_allclose(tied(IMAGES, MAPS), untied(IMAGES, MAPS), rtol=1e-5, atol=1e-5)


def copy(source, target):
    for one, other in zip(source.weights, target.weights, strict=True):
        other.assign(one)


@pytest.mark.parametrize(
    ("depth", "per_place", "blocks"), [(1, 2, 0), (2, 2, 0), (3, 2, 2), (5, 1, 2), (7, 2, 6)]
)
def test_pointwise_blocks_stand_after_every_other_masked_convolution(depth, per_place, blocks):
    network = ResidualPixelCNN(filters=2, depth=depth, pointwise_blocks=per_place)
    network.build(IMAGES.shape)
    assert len(network._pointwise) == blocks
    # Each is used: without it the output is another.
    randomise(network)
    before = np.asarray(network(IMAGES))
    for block in network._pointwise:
        weight = block._second.weights[0]
        kept = np.asarray(weight).copy()
        weight.assign(0.0 * kept)
        assert np.any(np.asarray(network(IMAGES)) != before)
        weight.assign(kept)

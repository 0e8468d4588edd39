"""Models small enough to build and train in a test."""

import numpy as np
import pytest

from vlae_tf.layers import LocalPixelCNN
from vlae_tf.likelihoods import PixelCNNLikelihood
from vlae_tf.models import VLAE
from vlae_tf.networks import ResNetDecoder, ResNetEncoder
from vlae_tf.priors import FlowPrior

SHAPE = (6, 6, 1)


def build(latent_dim=3, dropout=0.0, weight_norm=False, dtype="float32", **parts):
    sizes = {"filters": [4], "blocks": 1, "units": 8}
    options = {"dropout": dropout, "weight_norm": weight_norm, "dtype": dtype}
    network = LocalPixelCNN(filters=4, blocks=1, first_kernel_size=3, **options)
    steps = 2 if latent_dim else 0
    settings = {
        "encoder": ResNetEncoder(**sizes, **options),
        "decoder": ResNetDecoder(SHAPE, maps=2, **sizes, **options),
        "prior_family": FlowPrior(latent_dim, steps=steps, hidden_units=[8]),
        "likelihood_family": PixelCNNLikelihood(SHAPE, network=network, dtype=dtype),
    }
    return VLAE(SHAPE, latent_dim, dtype=dtype, **settings | parts)


@pytest.fixture(scope="session")
def tiny_vlae():
    """Builds a `VLAE` of 6x6 images; any of its arguments may be given."""
    return build


@pytest.fixture(scope="session")
def model():
    """One such model, for tests that leave it as it is."""
    return build()


@pytest.fixture
def images():
    """20 binary images, two in every pair of columns alike."""
    halves = np.random.default_rng(0).integers(0, 2, (20, 6, 3, 1))
    return np.repeat(halves, 2, axis=2).astype("uint8")

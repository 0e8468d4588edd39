import numpy as np
import pytest
from matplotlib.figure import Figure

from vlae_tf.layers import LocalPixelCNN
from vlae_tf.likelihoods import PixelCNNLikelihood
from vlae_tf.models import VLAE
from vlae_tf.networks import ResNetDecoder, ResNetEncoder
from vlae_tf.posteriors import GaussianPosterior, IAFPosterior
from vlae_tf.priors import FlowPrior

SHAPE = (2, 3, 1)


def make_model(latent_dim, posterior="gaussian", seed=0):
    """A tiny model on 2x3 images whose parts all matter; the same on both backends."""
    posteriors = {
        "gaussian": lambda: GaussianPosterior(latent_dim),
        "iaf": lambda: IAFPosterior(latent_dim, steps=2, hidden_units=[4], context_size=2),
    }
    model = VLAE(
        SHAPE,
        latent_dim,
        encoder=ResNetEncoder([2], blocks=0, units=4),
        decoder=ResNetDecoder(SHAPE, maps=2, filters=[2], blocks=0, units=4),
        posterior_family=posteriors[posterior](),
        prior_family=FlowPrior(
            latent_dim, steps=2 if latent_dim else 0, hidden_units=[4], mean_only=False
        ),
        likelihood_family=PixelCNNLikelihood(SHAPE, LocalPixelCNN(1, filters=2, blocks=1)),
    )
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(0.5 * rng.standard_normal(weight.shape))
    if latent_dim:
        # A posterior that moves less and is wider than the true one, as importance sampling needs.
        for weight in model.posterior_family.trainable_weights:
            weight.assign(0.5 * weight)
        bias = model.posterior_family._dense.bias
        bias.assign(bias + np.repeat([0.0, 1.5], latent_dim))
    return model


@pytest.fixture(scope="session")
def build_model():
    return make_model


@pytest.fixture(scope="session", params=["gaussian", "iaf"])
def model(request):
    """With a code of one dimension, so that the likelihood can be integrated on a grid."""
    return make_model(1, request.param)


@pytest.fixture(scope="session")
def wide_model():
    return make_model(3)


@pytest.fixture(scope="session")
def control():
    return make_model(0)


@pytest.fixture(scope="session")
def all_images():
    """Every image there is of the tiny models' shape."""
    bits = np.arange(2 ** np.prod(SHAPE))[:, None] >> np.arange(np.prod(SHAPE)) & 1
    return bits.reshape(-1, *SHAPE).astype("uint8")


@pytest.fixture
def images(all_images):
    return all_images[[3, 60, 21, 0, 63, 34, 7]]


@pytest.fixture
def curves(monkeypatch):
    """The figures that are saved."""
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: saved.append(figure))
    return saved

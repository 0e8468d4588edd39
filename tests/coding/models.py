"""Tiny models to code with, as folders of entries, by what their pixels and codes are."""

from tests.tiny import tiny_model
from vlae_tf.layers import GatedPixelCNN, LocalPixelCNN
from vlae_tf.likelihoods import (
    BernoulliLikelihood,
    FactorisedLogisticMixtureLikelihood,
    LogisticMixtureLikelihood,
)
from vlae_tf.models.folder import model_config
from vlae_tf.posteriors import HierarchicalPosterior, IAFPosterior
from vlae_tf.priors import HierarchicalPrior, SpatialFlowPrior

SHAPE, COLOUR = (4, 5, 1), (3, 2, 3)


def mixture(groups=1, grey_window=False, kind=LocalPixelCNN):
    network = kind(
        LogisticMixtureLikelihood.parameters_a_pixel(COLOUR, components=2, groups=groups),
        filters=3,
        blocks=1,
        first_kernel_size=3,
        **({"groups": groups} if groups > 1 else {}),
    )
    return LogisticMixtureLikelihood(COLOUR, network, components=2, grey_window=grey_window)


SYSTEMS = {
    "binary": lambda **options: tiny_model(SHAPE, **options),
    "binary, two layers": lambda: tiny_model(
        SHAPE,
        latent_dim=2,
        posterior_family=HierarchicalPosterior(2, [1, 1], units=[4]),
        prior_family=HierarchicalPrior(2, [1, 1], units=[4]),
    ),
    "binary, flow as posterior": lambda: tiny_model(
        SHAPE,
        latent_dim=2,
        posterior_family=IAFPosterior(2, steps=2, hidden_units=[4], context_size=2),
    ),
    "binary, factorised": lambda: tiny_model(SHAPE, likelihood_family=BernoulliLikelihood(SHAPE)),
    "colours": lambda: tiny_model(COLOUR, levels=256, likelihood_family=mixture()),
    "colours, gated": lambda: tiny_model(
        COLOUR, levels=256, likelihood_family=mixture(kind=GatedPixelCNN)
    ),
    "colours, grey window": lambda: tiny_model(
        COLOUR, levels=256, likelihood_family=mixture(grey_window=True)
    ),
    "colours, groups": lambda: tiny_model(COLOUR, levels=256, likelihood_family=mixture(groups=3)),
    "colours, factorised": lambda: tiny_model(
        COLOUR,
        levels=256,
        likelihood_family=FactorisedLogisticMixtureLikelihood(COLOUR, components=2),
    ),
    "colours, spatial code": lambda: tiny_model(
        COLOUR,
        latent_dim=8,
        levels=256,
        likelihood_family=mixture(),
        prior_family=SpatialFlowPrior((2, 2, 2), steps=2, filters=4, hidden_layers=1),
    ),
}


def write_entry(model, folder):
    """Writes the folder of a model, and gives it back."""
    folder.mkdir()
    (folder / "config.json").write_text(model_config(model))
    model.save_weights(folder / "model.weights.h5")
    return folder

"""Models whose likelihood can be computed exactly: few codes, few images, parts that all matter."""

import numpy as np

from tests.gradients import randomise
from tests.tiny import all_images, tiny_control, tiny_model

SHAPE = (2, 3, 1)
# To be left as they are: all there are of that shape, and seven of them.
ALL_IMAGES = all_images(SHAPE)
IMAGES = ALL_IMAGES[[3, 60, 21, 0, 63, 34, 7]]


def integrable_model(latent_dim, posterior="gaussian", seed=0):
    """A model of 2x3 images with random weights; the same on both backends."""
    from vlae_tf.layers import LocalPixelCNN
    from vlae_tf.likelihoods import PixelCNNLikelihood
    from vlae_tf.networks import ResNetDecoder, ResNetEncoder
    from vlae_tf.posteriors import GaussianPosterior, IAFPosterior
    from vlae_tf.priors import FlowPrior

    small = {"filters": [2], "blocks": 0, "units": 4}
    if posterior == "gaussian":
        posterior_family = GaussianPosterior(latent_dim)
    else:
        posterior_family = IAFPosterior(latent_dim, steps=2, hidden_units=[4], context_size=2)
    model = tiny_model(
        SHAPE,
        latent_dim,
        encoder=ResNetEncoder(**small),
        decoder=ResNetDecoder(SHAPE, maps=2, **small),
        posterior_family=posterior_family,
        prior_family=FlowPrior(latent_dim, steps=2, hidden_units=[4], mean_only=False),
        likelihood_family=PixelCNNLikelihood(SHAPE, LocalPixelCNN(1, filters=2, blocks=1)),
    )
    randomise(model, seed=seed)
    # A posterior that moves less and is wider than the true one, as importance sampling needs.
    for weight in posterior_family.trainable_weights:
        weight.assign(0.5 * weight)
    bias = posterior_family._dense.bias
    bias.assign(bias + np.repeat([0.0, 1.5], latent_dim))
    return model


def integrable_control():
    """The same without a code, whose likelihood is exact."""
    return randomise(tiny_control(SHAPE))

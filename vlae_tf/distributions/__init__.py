"""TFP distributions: the autoregressive-flow prior, the posteriors, the likelihoods of images."""

from vlae_tf.distributions.autoregressive_flow import AutoregressiveFlow
from vlae_tf.distributions.diagonal_gaussian import DiagonalGaussian
from vlae_tf.distributions.discretised_logistic_mixture import DiscretisedLogisticMixture
from vlae_tf.distributions.factorised_bernoulli import FactorisedBernoulli
from vlae_tf.distributions.inverse_autoregressive_flow import InverseAutoregressiveFlow
from vlae_tf.distributions.pixelcnn_bernoulli import PixelCNNBernoulli

__all__ = [
    "AutoregressiveFlow",
    "DiagonalGaussian",
    "DiscretisedLogisticMixture",
    "FactorisedBernoulli",
    "InverseAutoregressiveFlow",
    "PixelCNNBernoulli",
]

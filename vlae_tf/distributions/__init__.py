"""TFP distributions over codes (`CodeDistribution`) and over images (`ImageDistribution`)."""

from vlae_tf.distributions.autoregressive_flow import AutoregressiveFlow
from vlae_tf.distributions.autoregressive_images import AutoregressiveImages
from vlae_tf.distributions.code_distribution import CodeDistribution
from vlae_tf.distributions.component_noise import choose_component
from vlae_tf.distributions.diagonal_gaussian import DiagonalGaussian
from vlae_tf.distributions.discretised_logistic_mixture import DiscretisedLogisticMixture
from vlae_tf.distributions.factorised_bernoulli import FactorisedBernoulli
from vlae_tf.distributions.factorised_gaussian import FactorisedGaussian
from vlae_tf.distributions.factorised_images import FactorisedImages
from vlae_tf.distributions.factorised_logistic_mixture import FactorisedLogisticMixture
from vlae_tf.distributions.full_gaussian import FullGaussian
from vlae_tf.distributions.gaussian_mixture import GaussianMixture
from vlae_tf.distributions.hierarchical_gaussian import HierarchicalGaussian
from vlae_tf.distributions.image_distribution import ImageDistribution
from vlae_tf.distributions.independent_rungs import IndependentRungs
from vlae_tf.distributions.inverse_autoregressive_flow import InverseAutoregressiveFlow
from vlae_tf.distributions.pixelcnn_bernoulli import PixelCNNBernoulli
from vlae_tf.distributions.pixelcnn_logistic_mixture import PixelCNNLogisticMixture

__all__ = [
    "AutoregressiveFlow",
    "AutoregressiveImages",
    "CodeDistribution",
    "DiagonalGaussian",
    "DiscretisedLogisticMixture",
    "FactorisedBernoulli",
    "FactorisedGaussian",
    "FactorisedImages",
    "FactorisedLogisticMixture",
    "FullGaussian",
    "GaussianMixture",
    "HierarchicalGaussian",
    "ImageDistribution",
    "IndependentRungs",
    "InverseAutoregressiveFlow",
    "PixelCNNBernoulli",
    "PixelCNNLogisticMixture",
    "choose_component",
]

"""The VLAE, and the encoders, decoders and families of distributions it is built from."""

from vlae_tf.models.bernoulli_likelihood import BernoulliLikelihood
from vlae_tf.models.densenet_decoder import DenseNetDecoder
from vlae_tf.models.densenet_encoder import DenseNetEncoder
from vlae_tf.models.factorised_logistic_mixture_likelihood import (
    FactorisedLogisticMixtureLikelihood,
)
from vlae_tf.models.flow_prior import FlowPrior
from vlae_tf.models.gaussian_posterior import GaussianPosterior
from vlae_tf.models.iaf_posterior import IAFPosterior
from vlae_tf.models.logistic_mixture_likelihood import LogisticMixtureLikelihood
from vlae_tf.models.pixelcnn_likelihood import PixelCNNLikelihood
from vlae_tf.models.resnet_decoder import ResNetDecoder
from vlae_tf.models.resnet_encoder import ResNetEncoder
from vlae_tf.models.spatial_flow_prior import SpatialFlowPrior
from vlae_tf.models.vlae import VLAE

__all__ = [
    "VLAE",
    "BernoulliLikelihood",
    "DenseNetDecoder",
    "DenseNetEncoder",
    "FactorisedLogisticMixtureLikelihood",
    "FlowPrior",
    "GaussianPosterior",
    "IAFPosterior",
    "LogisticMixtureLikelihood",
    "PixelCNNLikelihood",
    "ResNetDecoder",
    "ResNetEncoder",
    "SpatialFlowPrior",
]

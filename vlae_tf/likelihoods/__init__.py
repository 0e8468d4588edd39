"""Likelihoods p(x | z): layers from a decoder's maps to distributions over images."""

from vlae_tf.likelihoods.bernoulli_likelihood import BernoulliLikelihood
from vlae_tf.likelihoods.factorised_likelihood import FactorisedLikelihood
from vlae_tf.likelihoods.factorised_logistic_mixture_likelihood import (
    FactorisedLogisticMixtureLikelihood,
)
from vlae_tf.likelihoods.gaussian_likelihood import GaussianLikelihood
from vlae_tf.likelihoods.likelihood import Likelihood
from vlae_tf.likelihoods.logistic_mixture_likelihood import LogisticMixtureLikelihood
from vlae_tf.likelihoods.pixelcnn_likelihood import PixelCNNLikelihood

__all__ = [
    "BernoulliLikelihood",
    "FactorisedLikelihood",
    "FactorisedLogisticMixtureLikelihood",
    "GaussianLikelihood",
    "Likelihood",
    "LogisticMixtureLikelihood",
    "PixelCNNLikelihood",
]

"""Posteriors q(z | x): layers from features to distributions over codes."""

from vlae_tf.posteriors.full_gaussian_posterior import FullGaussianPosterior
from vlae_tf.posteriors.gaussian_posterior import GaussianPosterior
from vlae_tf.posteriors.hierarchical_posterior import HierarchicalPosterior
from vlae_tf.posteriors.iaf_posterior import IAFPosterior
from vlae_tf.posteriors.ladder_posterior import LadderPosterior
from vlae_tf.posteriors.laplace_posterior import LaplacePosterior
from vlae_tf.posteriors.mixture_posterior import MixturePosterior
from vlae_tf.posteriors.posterior import Posterior
from vlae_tf.posteriors.prior_posterior import PriorPosterior

__all__ = [
    "FullGaussianPosterior",
    "GaussianPosterior",
    "HierarchicalPosterior",
    "IAFPosterior",
    "LadderPosterior",
    "LaplacePosterior",
    "MixturePosterior",
    "Posterior",
    "PriorPosterior",
]

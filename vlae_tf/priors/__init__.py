"""Priors p(z): layers that hold a distribution over codes."""

from vlae_tf.priors.autoregressive_flow_prior import AutoregressiveFlowPrior
from vlae_tf.priors.clusters import most_probable_clusters
from vlae_tf.priors.flow_prior import FlowPrior
from vlae_tf.priors.gaussian_mixture_prior import GaussianMixturePrior
from vlae_tf.priors.hierarchical_prior import HierarchicalPrior
from vlae_tf.priors.prior import Prior
from vlae_tf.priors.spatial_flow_prior import SpatialFlowPrior

__all__ = [
    "AutoregressiveFlowPrior",
    "FlowPrior",
    "GaussianMixturePrior",
    "HierarchicalPrior",
    "Prior",
    "SpatialFlowPrior",
    "most_probable_clusters",
]

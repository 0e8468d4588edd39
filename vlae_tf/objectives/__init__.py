"""Objectives: what training minimises, and the importance weights all bounds are made of."""

from vlae_tf.objectives.bounds import log_weights
from vlae_tf.objectives.elbo import ELBO
from vlae_tf.objectives.importance_weighted_elbo import ImportanceWeightedELBO
from vlae_tf.objectives.info_elbo import InfoELBO
from vlae_tf.objectives.ladder_elbo import LadderELBO
from vlae_tf.objectives.mixture_elbo import MixtureELBO
from vlae_tf.objectives.mutual_posterior_divergence_elbo import MutualPosteriorDivergenceELBO
from vlae_tf.objectives.objective import Objective
from vlae_tf.objectives.recursive_mixture_elbo import RecursiveMixtureELBO
from vlae_tf.objectives.sequential_elbo import SequentialELBO
from vlae_tf.objectives.soft_free_bits_elbo import SoftFreeBitsELBO

__all__ = [
    "ELBO",
    "ImportanceWeightedELBO",
    "InfoELBO",
    "LadderELBO",
    "MixtureELBO",
    "MutualPosteriorDivergenceELBO",
    "Objective",
    "RecursiveMixtureELBO",
    "SequentialELBO",
    "SoftFreeBitsELBO",
    "log_weights",
]

"""Objectives: what training minimises, and the importance weights all bounds are made of."""

from vlae_tf.objectives.bounds import log_weights
from vlae_tf.objectives.elbo import ELBO
from vlae_tf.objectives.importance_weighted_elbo import ImportanceWeightedELBO
from vlae_tf.objectives.objective import Objective
from vlae_tf.objectives.soft_free_bits_elbo import SoftFreeBitsELBO

__all__ = ["ELBO", "ImportanceWeightedELBO", "Objective", "SoftFreeBitsELBO", "log_weights"]

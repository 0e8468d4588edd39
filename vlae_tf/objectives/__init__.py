"""Objectives: a scalar from a posterior, a prior and a likelihood."""

from vlae_tf.objectives.elbo import ELBO
from vlae_tf.objectives.soft_free_bits_elbo import SoftFreeBitsELBO

__all__ = ["ELBO", "SoftFreeBitsELBO"]

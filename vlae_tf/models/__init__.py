"""Models: `VAE`, made of four parts, `VLAE`, with the parts of the lossy paper, and how likely
images are under them."""

from vlae_tf.models.image_model import ImageModel
from vlae_tf.models.importance import importance_weighted_log_prob, importance_weighted_terms
from vlae_tf.models.partial_results import PartialResults
from vlae_tf.models.vae import VAE
from vlae_tf.models.vlae import VLAE

__all__ = [
    "VAE",
    "VLAE",
    "ImageModel",
    "PartialResults",
    "importance_weighted_log_prob",
    "importance_weighted_terms",
]

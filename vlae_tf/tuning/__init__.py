"""Tuning: a search with keras-tuner over the fields of a recipe, first of all the latent size."""

from vlae_tf.tuning.recipe_tuner import RecipeTuner
from vlae_tf.tuning.search import tune
from vlae_tf.tuning.search_objective import SearchObjective
from vlae_tf.tuning.search_results import SearchResults
from vlae_tf.tuning.search_space import SearchSpace
from vlae_tf.tuning.trial_result import TrialResult
from vlae_tf.tuning.vlae_hyper_model import VLAEHyperModel

__all__ = [
    "RecipeTuner",
    "SearchObjective",
    "SearchResults",
    "SearchSpace",
    "TrialResult",
    "VLAEHyperModel",
    "tune",
]

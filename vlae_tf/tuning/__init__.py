"""Tuning: a search with keras-tuner over the fields of a recipe, first of all the latent size."""

from vlae_tf.tuning.recipe_hyper_model import RecipeHyperModel
from vlae_tf.tuning.search import tune
from vlae_tf.tuning.search_objective import SearchObjective
from vlae_tf.tuning.search_results import SearchResults
from vlae_tf.tuning.search_space import SearchSpace
from vlae_tf.tuning.trial_result import TrialResult

__all__ = [
    "RecipeHyperModel",
    "SearchObjective",
    "SearchResults",
    "SearchSpace",
    "TrialResult",
    "tune",
]

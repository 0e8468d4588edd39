"""Training: a recipe, the driver that runs `model.fit` with it, and its callbacks."""

from vlae_tf.training.averaged_adamax import AveragedAdamax
from vlae_tf.training.averaged_evaluation import AveragedEvaluation
from vlae_tf.training.checkpoint import Checkpoint
from vlae_tf.training.collapse_warning import CollapseWarning
from vlae_tf.training.driver import train
from vlae_tf.training.nan_guard import NaNGuard
from vlae_tf.training.recipe import Recipe
from vlae_tf.training.run import load_run
from vlae_tf.training.run_record import RunRecord

__all__ = [
    "AveragedAdamax",
    "AveragedEvaluation",
    "Checkpoint",
    "CollapseWarning",
    "NaNGuard",
    "Recipe",
    "RunRecord",
    "load_run",
    "train",
]

"""Training: the driver that runs `model.fit` with a recipe, and its callbacks."""

from vlae_tf.runs.averaged_adamax import AveragedAdamax
from vlae_tf.training.averaged_evaluation import AveragedEvaluation
from vlae_tf.training.checkpoint import Checkpoint
from vlae_tf.training.collapse_warning import CollapseWarning
from vlae_tf.training.driver import train
from vlae_tf.training.nan_guard import NaNGuard

__all__ = [
    "AveragedAdamax",
    "AveragedEvaluation",
    "Checkpoint",
    "CollapseWarning",
    "NaNGuard",
    "train",
]

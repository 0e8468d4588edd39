"""Training: the driver that runs `model.fit` with a recipe, its optimisers and callbacks."""

from vlae_tf.training.averaged_evaluation import AveragedEvaluation
from vlae_tf.training.averaged_optimizer import AveragedOptimizer, averaged
from vlae_tf.training.checkpoint import Checkpoint
from vlae_tf.training.clustering import Clustering
from vlae_tf.training.collapse_warning import CollapseWarning
from vlae_tf.training.devices import on_devices, on_workers
from vlae_tf.training.driver import train
from vlae_tf.training.nan_guard import NaNGuard
from vlae_tf.training.recipe_optimizer import recipe_optimizer

__all__ = [
    "AveragedEvaluation",
    "AveragedOptimizer",
    "Checkpoint",
    "Clustering",
    "CollapseWarning",
    "NaNGuard",
    "averaged",
    "on_devices",
    "on_workers",
    "recipe_optimizer",
    "train",
]

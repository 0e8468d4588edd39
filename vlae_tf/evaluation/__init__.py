"""Likelihood, length of the code and pictures of trained models."""

from vlae_tf.evaluation.evaluate_run import evaluate_run, write_metrics
from vlae_tf.evaluation.lossy import compare_windows
from vlae_tf.evaluation.metrics import active_units, evaluate
from vlae_tf.evaluation.plots import plot_history, plot_reconstructions, plot_rows, plot_samples
from vlae_tf.evaluation.probe import linear_probe, probe_run
from vlae_tf.models.importance import importance_weighted_log_prob, importance_weighted_terms
from vlae_tf.models.partial_results import PartialResults

__all__ = [
    "PartialResults",
    "active_units",
    "compare_windows",
    "evaluate",
    "evaluate_run",
    "importance_weighted_log_prob",
    "importance_weighted_terms",
    "linear_probe",
    "plot_history",
    "plot_reconstructions",
    "plot_rows",
    "plot_samples",
    "probe_run",
    "write_metrics",
]

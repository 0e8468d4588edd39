"""Evaluation: likelihood, length of the code, pictures and probes of trained models."""

from vlae_tf.evaluation.lossy import compare_windows
from vlae_tf.evaluation.metrics import active_units, evaluate
from vlae_tf.evaluation.plots import plot_history, plot_reconstructions, plot_rows, plot_samples
from vlae_tf.evaluation.probe import linear_probe, probe_run
from vlae_tf.evaluation.run_metrics import evaluate_run, write_metrics

__all__ = [
    "active_units",
    "compare_windows",
    "evaluate",
    "evaluate_run",
    "linear_probe",
    "plot_history",
    "plot_reconstructions",
    "plot_rows",
    "plot_samples",
    "probe_run",
    "write_metrics",
]

"""Evaluation: likelihood, length of the code, pictures and probes of trained models."""

from vlae_tf.evaluation.clustering import clustering_accuracy
from vlae_tf.evaluation.comparison import comparison_table, paired_difference, renew_comparison
from vlae_tf.evaluation.lossy import compare_windows
from vlae_tf.evaluation.metrics import active_units, evaluate
from vlae_tf.evaluation.mutual_information import mutual_information
from vlae_tf.evaluation.plots import plot_history, plot_reconstructions, plot_rows, plot_samples
from vlae_tf.evaluation.probe import linear_probe, probe_run
from vlae_tf.evaluation.run_metrics import evaluate_run, write_metrics
from vlae_tf.evaluation.rung_plots import (
    cluster_draws,
    manifold,
    plot_clusters,
    plot_manifolds,
    rung_sizes,
)
from vlae_tf.evaluation.rungs import probe_rungs, renew_rung_table, rung_table
from vlae_tf.evaluation.strokes import slant, stroke_width

__all__ = [
    "active_units",
    "cluster_draws",
    "clustering_accuracy",
    "compare_windows",
    "comparison_table",
    "evaluate",
    "evaluate_run",
    "linear_probe",
    "manifold",
    "mutual_information",
    "paired_difference",
    "plot_clusters",
    "plot_history",
    "plot_manifolds",
    "plot_reconstructions",
    "plot_rows",
    "plot_samples",
    "probe_run",
    "probe_rungs",
    "renew_comparison",
    "renew_rung_table",
    "rung_sizes",
    "rung_table",
    "slant",
    "stroke_width",
    "write_metrics",
]

"""Runs: the recipe of a training run, its parts and data, and what it leaves behind."""

from vlae_tf.runs.data import RunData
from vlae_tf.runs.load import load_run
from vlae_tf.runs.recipe import Recipe
from vlae_tf.runs.run_record import RunRecord

__all__ = ["Recipe", "RunData", "RunRecord", "load_run"]

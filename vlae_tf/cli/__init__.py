"""The `vlae-tf` command."""

# In the order in which `vlae-tf --help` lists their commands.
from vlae_tf.cli import training, images, explorer, serving, zoo  # noqa: I001
from vlae_tf.cli.application import app, main

__all__ = ["app", "main", "explorer", "images", "serving", "training", "zoo"]

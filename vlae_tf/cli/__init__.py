"""The `vlae-tf` command."""

# In the order in which `vlae-tf --help` lists their commands.
from vlae_tf.cli import training, images, coding, explorer, serving, zoo  # noqa: I001
from vlae_tf.cli.application import app, main

__all__ = ["app", "main", "coding", "explorer", "images", "serving", "training", "zoo"]

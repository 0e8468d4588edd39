"""A page to look at: what a code keeps, and what the window does to it."""

from vlae_tf.explorer.explore import explore

__all__ = ["explore"]

"""The local server, for development and tests."""

from vlae_tf.serving.server.server import Server

__all__ = ["Server"]

# What `__getattr__` gives, for type checkers and editors.
from vlae_tf.serving.client import Client
from vlae_tf.serving.server import Server

__all__ = ["Client", "Server"]

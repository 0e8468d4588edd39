"""The client of served models, over gRPC or REST, on NumPy alone."""

from vlae_tf.serving.client.client import Client

__all__ = ["Client"]

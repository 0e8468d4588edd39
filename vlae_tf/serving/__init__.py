"""SavedModels for TensorFlow Serving: `export`, a local `Server`, and a `Client`."""

from vlae_tf.serving.client import Client
from vlae_tf.serving.saved_model import export
from vlae_tf.serving.server import Server

__all__ = ["Client", "Server", "export"]

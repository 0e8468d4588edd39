"""SavedModels for TensorFlow Serving and other languages: `export`."""

from vlae_tf.serving.saved_model import export

__all__ = ["export"]

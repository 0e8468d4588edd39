"""SavedModels: `export` writes a model with five signatures, for TensorFlow Serving."""

from vlae_tf.saved_model.export import export

__all__ = ["export"]

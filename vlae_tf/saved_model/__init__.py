"""Files to run a model elsewhere: `export` writes a SavedModel with five signatures, for TensorFlow
Serving; `export_runtime` one function for ONNX, OpenVINO or LiteRT."""

from vlae_tf.saved_model.export import export
from vlae_tf.saved_model.runtimes import export_runtime

__all__ = ["export", "export_runtime"]

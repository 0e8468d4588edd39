"""Images by name, through TFDS, and own images, for `fit`, `evaluate` and NumPy.

Importing this package does not import TensorFlow: `load_arrays` and `load` do, when they need it.
"""

from vlae_tf.datasets.arrays import load_arrays, load_labels
from vlae_tf.datasets.batches import ImageBatches
from vlae_tf.datasets.binarisation import binarised
from vlae_tf.datasets.named import prepare
from vlae_tf.datasets.pipeline import load
from vlae_tf.datasets.prompt import array_batches, untuned
from vlae_tf.datasets.registry import DATASETS, DatasetInfo, info
from vlae_tf.pictures import thresholded

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "ImageBatches",
    "array_batches",
    "binarised",
    "info",
    "load",
    "load_arrays",
    "load_labels",
    "prepare",
    "thresholded",
    "untuned",
]

"""Images as files made with a trained model: bits that exist. See docs/coding.md."""

from vlae_tf.coding.coder import Coder
from vlae_tf.coding.functions import compress, decompress
from vlae_tf.coding.image_reader import ImageReader
from vlae_tf.coding.image_writer import ImageWriter

__all__ = ["Coder", "ImageReader", "ImageWriter", "compress", "decompress"]

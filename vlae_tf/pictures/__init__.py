"""Images from a user's own arrays, files and folders: one reader for every door, by NumPy and
Pillow, without Keras."""

from vlae_tf.pictures.own import own_images, own_labels
from vlae_tf.pictures.picture import read_picture
from vlae_tf.pictures.threshold import thresholded

__all__ = ["own_images", "own_labels", "read_picture", "thresholded"]

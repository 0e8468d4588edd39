"""Omniglot as the density papers use it: 28x28 intensities, split at random over all characters."""

import functools
import hashlib

import numpy as np


def shrink(strokes, size=28):
    """Square binary images (n, s, s) to uint8 intensities (n, size, size, 1), by area.

    255 times the part of each new pixel that is covered by ones.
    """
    import tensorflow as tf

    # Not Pillow, which takes a pixel whole or not at all.
    area = functools.partial(tf.image.resize, size=(size, size), method="area")
    chunks = np.split(strokes, range(1000, len(strokes), 1000))  # floats of all would be a gigabyte
    small = [area(255.0 * chunk[..., None].astype(np.float32)) for chunk in chunks]
    return np.round(np.concatenate(small)).astype(np.uint8)


def random_order(strokes):
    """A random order of binary images with a fixed seed.

    Sorting by a keyed hash does not depend on the order in which the images come (a permutation of
    positions would): the split is the same whatever version of TFDS stored them. Equal images stay
    together, so that none is in two splits.
    """
    digests = [hashlib.blake2b(np.packbits(image), key=b"0").digest() for image in strokes]
    return sorted(range(len(digests)), key=digests.__getitem__)

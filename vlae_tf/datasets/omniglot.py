"""Omniglot as the density papers use it: 28x28 intensities, split at random over all characters."""

import hashlib

import numpy as np


def shrink(strokes, size=28):
    """Square binary images (n, s, s) to uint8 intensities (n, size, size, 1), by area.

    255 times the part of each new pixel that is covered by ones.
    """
    old = strokes.shape[1]
    edges = np.arange(size + 1) * old / size
    pixels = np.arange(old)
    # weights[i, j]: the part of new row i that old row j makes up.
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = (np.maximum(overlap, 0) * size / old).astype(np.float32)
    chunks = np.split(strokes, range(1000, len(strokes), 1000))  # floats of all would be a gigabyte
    small = [np.round(255 * (weights @ chunk.astype(np.float32) @ weights.T)) for chunk in chunks]
    return np.concatenate(small).astype(np.uint8)[..., None]


def random_order(strokes):
    """A random order of binary images with a fixed seed.

    Sorting by a keyed hash does not depend on the order the images come in, as a permutation of
    positions would: the split is the same whatever version of TFDS stored them. Equal images stay
    together, so that none is in two splits.
    """
    digests = [hashlib.blake2b(np.packbits(image), key=b"0").digest() for image in strokes]
    return sorted(range(len(digests)), key=digests.__getitem__)

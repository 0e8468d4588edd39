"""The classes of the images of a named data set."""

import numpy as np

from vlae_tf.datasets.arrays import named
from vlae_tf.datasets.registry import SPLITS, info


def load_labels(name, split="train", data_dir=None) -> np.ndarray:
    """The class of each image that `load_arrays(name, split)` gives, int64 `(n,)`.

    Args:
        name: a name in `DATASETS` other than `mnist_static`, whose classes were never published.
            The classes of `omniglot` are its 1,623 characters.
        split: as for `load_arrays`.
        data_dir: the TFDS directory; None means `TFDS_DATA_DIR`, or TFDS' own default.

    Raises:
        ValueError: unknown name or split, or a data set without classes.
        FileNotFoundError: the data set is not prepared; the message says how to get it.

    Example:
        >>> from vlae_tf.datasets import load_labels
        >>> load_labels("mnist_static")
        Traceback (most recent call last):
        ValueError: `name` must be a data set with classes; mnist_dynamic has the digits of ...
    """
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(SPLITS)}. Received: split={split!r}")
    entry = info(name)
    if name == "mnist_static":
        raise ValueError(
            "`name` must be a data set with classes; mnist_dynamic has the digits of mnist_static "
            f"and their classes (vlae-tf probe --dataset mnist_dynamic). Received: name={name!r}"
        )
    return named(entry, split, data_dir, feature="label")

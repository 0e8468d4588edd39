"""What `fit`, `evaluate` and `predict` are given, such that an epoch ends with its last step."""

import math

from keras.src.trainers.data_adapters import array_slicing, get_data_adapter

from vlae_tf.backend import BACKEND
from vlae_tf.datasets import array_batches, untuned


def prompt_arguments(arguments):
    """Arguments of a method of Keras by name, whose data TensorFlow reads without its autotuner.

    It ends an iteration late (`vlae_tf.datasets.untuned`), over the `tf.data.Dataset` that Keras
    makes of other data, too. Labels beside arrays are left out.
    """
    given = dict(arguments)
    if (split := given.pop("validation_split", None)) and given.get("validation_data") is None:
        arrays = given["x"], given.get("y"), None
        (given["x"], given["y"], _), validation = array_slicing.train_validation_split(
            arrays, split
        )
        given["validation_data"] = validation[:1]
    size, validation = given.get("batch_size"), given.get("validation_data")
    if validation is not None:
        x, *labels = validation if isinstance(validation, tuple) else (validation,)
        sizes = given.get("validation_batch_size") or size, given.get("validation_steps")
        given["validation_data"] = (_prompt(x, labels, *sizes), *_beside(x, labels))
    steps = given.get("steps_per_epoch", given.get("steps"))
    x, labels, shuffle = given["x"], [given.get("y")], given.get("shuffle", False)
    given["x"] = _prompt(x, labels, size, steps, shuffle)
    if _is_read_here(x):
        given |= {name: None for name in ("y", "shuffle") if name in given}
    return given


def _is_read_here(x):
    """Whether `x` is an array on TensorFlow, of which we make the batches."""
    return BACKEND == "tensorflow" and hasattr(x, "shape")


def _beside(x, labels):
    return [] if _is_read_here(x) else labels


def _prompt(x, labels, batch_size, steps, shuffle=False):
    if hasattr(x, "with_options"):  # a tf.data.Dataset
        return untuned(x)
    if BACKEND != "tensorflow":
        return x
    if _is_read_here(x):
        default = math.ceil(len(x) / steps) if steps else 32
        return array_batches(x, batch_size or default, shuffle)
    # What Keras makes of generators and the like, which it also takes in their place.
    adapter = get_data_adapter(
        x, *labels, batch_size=batch_size, steps_per_epoch=steps, shuffle=shuffle
    )
    read = adapter.get_tf_dataset
    adapter.get_tf_dataset = lambda: untuned(read())
    return adapter

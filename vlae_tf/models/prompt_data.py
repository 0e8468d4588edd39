"""What `fit`, `evaluate` and `predict` are given, such that an epoch ends with its last step."""

import math

from keras.src.trainers.data_adapters import array_slicing, get_data_adapter

from vlae_tf.backend import BACKEND, replicas
from vlae_tf.checks import refuse
from vlae_tf.datasets import array_batches, untuned
from vlae_tf.datasets.prompt import can_be_divided, divided_batches


def prompt_arguments(model, arguments):
    """Arguments of a method of Keras by name, whose data TensorFlow reads without its autotuner,
    and the devices of the model share evenly.

    The autotuner ends an iteration late (`vlae_tf.datasets.untuned`), over the `tf.data.Dataset`
    that Keras makes of other data, too. Labels beside arrays are left out.
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
        x, labels = _prompt(model, x, labels, *sizes), _beside(x, labels)
        given["validation_data"] = (x, *labels)
    steps = given.get("steps_per_epoch", given.get("steps"))
    x, labels, shuffle = given["x"], [given.get("y")], given.get("shuffle", False)
    given["x"] = _prompt(model, x, labels, size, steps, shuffle)
    if _is_read_here(x):
        given |= {name: None for name in ("y", "shuffle") if name in given}
    return given


def _is_read_here(x):
    """Whether `x` is an array on TensorFlow, of which we make the batches."""
    return BACKEND == "tensorflow" and hasattr(x, "shape")


def _beside(x, labels):
    return [] if _is_read_here(x) else labels


def _prompt(model, x, labels, batch_size, steps, shuffle=False):
    if hasattr(x, "shape"):
        batch_size = batch_size or (math.ceil(len(x) / steps) if steps else 32)
        _check_division(replicas(model), len(x), batch_size)
    if BACKEND != "tensorflow":
        return untuned(x) if hasattr(x, "with_options") else x
    if hasattr(x, "with_options"):  # a tf.data.Dataset
        return _divided(model, untuned(x))
    if _is_read_here(x):
        return _divided(model, array_batches(x, batch_size, shuffle))
    # What Keras makes of generators and the like, which it also takes in their place.
    adapter = get_data_adapter(
        x, *labels, batch_size=batch_size, steps_per_epoch=steps, shuffle=shuffle
    )
    read = adapter.get_tf_dataset
    adapter.get_tf_dataset = lambda: _shared(model, untuned(read()))
    return adapter


def _divided(model, dataset):
    """A dataset whose batches the devices of a model share."""
    if replicas(model) == 1:
        return dataset
    # Keras asks the adapter for the number of batches. Where it does not know it, it takes a step
    # past the last one, which fails for want of data but counts, and draws noise, all the same.
    adapter = get_data_adapter(dataset)
    adapter.get_tf_dataset = lambda: _shared(model, dataset)
    return adapter


def _shared(model, dataset):
    if replicas(model) == 1:
        return dataset
    return divided_batches(dataset, model.distribute_strategy)


def _check_division(devices, count, batch_size):
    """Raises if an array has a batch that the devices cannot share."""
    if not can_be_divided(count, batch_size, devices):
        expected = f"such that {devices} devices can share each batch, the last one too"
        received = f"batch_size={batch_size} for {count} images"
        refuse("batch_size", expected, batch_size, received)

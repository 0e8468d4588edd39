"""What `fit`, `evaluate` and `predict` are given, such that an epoch ends with its last step."""

from keras.src.trainers.data_adapters import array_slicing, get_data_adapter

from vlae_tf.backend import BACKEND
from vlae_tf.datasets import untuned


def prompt_arguments(arguments):
    """Arguments of a method of Keras by name, whose data TensorFlow reads without its autotuner.

    It ends an iteration late (`vlae_tf.datasets.untuned`), over the `tf.data.Dataset` that Keras
    makes of arrays, too.
    """
    given = dict(arguments)
    if (split := given.pop("validation_split", None)) and given.get("validation_data") is None:
        arrays = (given["x"], given.get("y"), None)
        (given["x"], given["y"], _), given["validation_data"] = (
            array_slicing.train_validation_split(arrays, split)
        )
    size, validation = given.get("batch_size"), given.get("validation_data")
    if validation is not None:
        x, *labels = validation if isinstance(validation, tuple) else (validation,)
        options = given.get("validation_batch_size") or size, given.get("validation_steps")
        given["validation_data"] = (_prompt(x, labels, *options), *labels)
    steps = given.get("steps_per_epoch", given.get("steps"))
    labels = [given.get("y")]
    return given | {"x": _prompt(given["x"], labels, size, steps, given.get("shuffle", False))}


def _prompt(x, labels, batch_size, steps, shuffle=False):
    if hasattr(x, "with_options"):  # a tf.data.Dataset
        return untuned(x)
    if BACKEND != "tensorflow":
        return x
    # What Keras makes of data of other kinds, which it also takes in their place.
    adapter = get_data_adapter(
        x, *labels, batch_size=batch_size, steps_per_epoch=steps, shuffle=shuffle
    )
    read = adapter.get_tf_dataset
    adapter.get_tf_dataset = lambda: untuned(read())
    return adapter

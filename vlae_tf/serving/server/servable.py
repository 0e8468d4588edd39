import pathlib

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from vlae_tf.saved_model.warmup import warmup_requests
from vlae_tf.serving.serving_error import ServingError

_CODES = {getattr(tf.errors, name): name for name in dir(tf.errors) if name.isupper()}


class Servable:
    """One version of any SavedModel in memory: checks requests against signatures, and answers.

    The SavedModel's warm-up requests are answered before any other.

    Args:
        path: folder of the SavedModel.
        batching: `Batching`, to join requests that come at the same time, or None.

    Raises:
        Exception: TensorFlow's own, if the SavedModel fails to load.

    Example:
        >>> import numpy as np, tensorflow as tf
        >>> from vlae_tf.serving.server.servable import Servable
        >>> module = tf.Module()
        >>> double = tf.function(lambda x: {"y": 2 * x})
        >>> double = double.get_concrete_function(tf.TensorSpec([None], tf.float32, name="x"))
        >>> tf.saved_model.save(module, "double/1", signatures=double)
        >>> Servable("double/1").predict("serving_default", {"x": np.float32([1, 2])})
        {'y': array([2., 4.], dtype=float32)}
    """

    def __init__(self, path, batching=None):
        # The signatures as they were written: clients ask for them, and requests must fit them.
        saved_model = saved_model_pb2.SavedModel.FromString(
            (pathlib.Path(path) / "saved_model.pb").read_bytes()
        )
        # The variables live as long as the loaded object, not as long as its signatures.
        self._loaded = tf.saved_model.load(str(path), tags=["serve"])
        self.definitions = {
            name: definition
            for graph in saved_model.meta_graphs
            if "serve" in graph.meta_info_def.tags
            for name, definition in graph.signature_def.items()
        }
        self._functions = dict(self._loaded.signatures)
        if batching is not None:
            self._functions = {n: batching.joined(f) for n, f in self._functions.items()}
        for request in warmup_requests(pathlib.Path(path)):
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            self.predict(request.model_spec.signature_name, inputs)

    def definition(self, signature):
        """The `SignatureDef` of this name; an empty name stands for "serving_default"."""
        signature = signature or "serving_default"
        if signature not in self._functions:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"`signature_name` must be one of {', '.join(sorted(self._functions))}. "
                f"Received: signature_name={signature!r}",
            )
        return self.definitions[signature]

    def predict(self, signature, inputs, outputs=()):
        """The answer to a request, both dicts of NumPy arrays.

        Args:
            signature: name of the signature; "serving_default" if empty.
            inputs: arrays of the signature's types and shapes.
            outputs: names of the outputs to give; all if empty.

        Raises:
            ServingError: if the request does not fit the signature, or the model fails.
        """
        definition = self.definition(signature)
        _check_names("inputs", inputs, definition.inputs)
        if not set(outputs) <= set(definition.outputs):
            _check_names("output_filter", outputs, definition.outputs)
        for name, value in inputs.items():
            check_tensor(name, value.dtype, value.shape, definition.inputs[name])
        function = self._functions[signature or "serving_default"]
        try:
            answer = function(**{name: tf.constant(value) for name, value in inputs.items()})
            return {name: answer[name].numpy() for name in sorted(outputs or answer)}
        except tf.errors.OpError as error:
            raise ServingError(_CODES.get(error.error_code, "UNKNOWN"), error.message) from error


def check_tensor(name, dtype, shape, info):
    """Raises a `ServingError` unless `dtype` and `shape` fit a `TensorInfo`."""
    expected = tf.as_dtype(info.dtype)
    dimensions = tf.TensorShape(info.tensor_shape)
    if tf.as_dtype(dtype) != expected or not dimensions.is_compatible_with(shape):
        raise ServingError(
            "INVALID_ARGUMENT",
            f"`{name}` must be {expected.name} of shape {_shape(dimensions)}. "
            f"Received: {name}, {tf.as_dtype(dtype).name} of shape {_shape(shape)}",
        )


def _check_names(argument, received, expected):
    if set(received) != set(expected):
        raise ServingError(
            "INVALID_ARGUMENT",
            f"`{argument}` must be named {', '.join(sorted(expected))}. "
            f"Received: {argument} named {', '.join(sorted(received)) or 'nothing'}",
        )


def _shape(shape):
    shape = tf.TensorShape(shape)
    return "(...)" if shape.rank is None else str(tuple(shape.as_list()))

import logging
import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.predict_pb2 import PredictResponse

from vlae_tf.saved_model.warmup import warmup_requests
from vlae_tf.serving.serving_error import ServingError, chosen, invalid

_CODES = {getattr(tf.errors, name): name for name in dir(tf.errors) if name.isupper()}
# Bytes of an input: one value may stand for many, in a message of few bytes.
_LARGEST = 2**28


class Servable:
    """One version of any SavedModel, in memory; it answers its warm-up requests first."""

    def __init__(self, path, max_rows):
        self.max_rows = max_rows
        # The variables live as long as the loaded object, not as long as its signatures.
        self._loaded = tf.saved_model.load(path, tags=["serve"])
        # The signatures as they were written: clients ask for them, and requests must fit them.
        written = SavedModel.FromString((path / "saved_model.pb").read_bytes())
        self.definitions = {
            name: definition
            for graph in written.meta_graphs
            for name, definition in graph.signature_def.items()
            if name in self._loaded.signatures
        }
        for request in warmup_requests(path):
            self.predict(request)

    def definition(self, signature):
        """The `SignatureDef` of this name; an empty name stands for "serving_default"."""
        return chosen("signature_name", self.definitions, signature or "serving_default")

    def predict(self, request):
        """The `PredictResponse` to a `PredictRequest`; an input left out gets its default."""
        signature = request.model_spec.signature_name or "serving_default"
        definition = self.definition(signature)
        for argument, given, names, optional in (
            ("inputs", request.inputs, definition.inputs, definition.defaults),
            ("output_filter", request.output_filter, definition.outputs, definition.outputs),
        ):
            if not set(names) - set(optional) <= set(given) <= set(names):
                received = ", ".join(sorted(given)) or "nothing"
                raise invalid(argument, f"named {', '.join(sorted(names))}", received)
        # All is checked by what the request declares, before any array is made.
        rows = self._rows(request.inputs, definition.inputs)
        try:
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        except (TypeError, ValueError, OverflowError) as error:
            raise invalid("inputs", "whole tensors", "other values than declared") from error
        for name in set(definition.defaults) - set(inputs):
            inputs[name] = np.resize(tf.make_ndarray(definition.defaults[name]), rows)
        try:
            inputs = {name: tf.constant(value) for name, value in inputs.items()}
            answer = self._loaded.signatures[signature](**inputs)
            names = request.output_filter or answer
            outputs = {name: tf.make_tensor_proto(answer[name].numpy()) for name in names}
        except tf.errors.OpError as error:
            # TensorFlow's words name nodes, and files of the machine that exported the model.
            logging.getLogger(__name__).warning("%s failed: %s", signature, error.message)
            words = "The model failed; the server's log says why"
            raise ServingError(_CODES[error.error_code], words) from error
        return PredictResponse(outputs=outputs)

    def _rows(self, inputs, infos):
        """The number of rows: the first size of all inputs whose signature leaves it free."""
        rows = set()
        for name, tensor in inputs.items():
            dtype, tag = tf.as_dtype(infos[name].dtype), tensor.dtype
            shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
            expected = tf.TensorShape(infos[name].tensor_shape)
            fits = min(shape, default=0) >= 0 and expected.is_compatible_with(shape)
            if not fits or tag != dtype.as_datatype_enum:
                kind = DataType.Name(tag) if tag in DataType.values() else f"the unknown type {tag}"
                raise invalid(name, f"{dtype.name} of shape {expected}", f"{kind} of shape {shape}")
            if math.prod(shape) * max(dtype.size, 1, *map(len, tensor.string_val)) > _LARGEST:
                raise invalid(name, f"of at most {_LARGEST} bytes", f"shape {shape}")
            if expected.rank and expected[0] is None:
                rows.add(shape[0])
        if len(rows) > 1 or rows and not 1 <= max(rows) <= self.max_rows:
            raise invalid("inputs", f"of 1 to {self.max_rows} rows, all of as many", sorted(rows))
        return max(rows, default=1)

"""Requests and answers as JSON, in the two forms of TensorFlow Serving's REST interface."""

import contextlib

import numpy as np
import tensorflow as tf

from vlae_tf.serving.json_values import from_json, to_json
from vlae_tf.serving.serving_error import invalid


def read_predict(body, definition):
    """The inputs of a request as `TensorProto`s of a `SignatureDef`, and whether it was in rows.

    It has "instances", a value or object for each row, or "inputs", a value for each input.
    """
    by_row, names = "instances" in body, sorted(definition.inputs)
    if by_row == ("inputs" in body):
        raise invalid("instances", "given, or `inputs`, and not both", sorted(body))
    values = body["instances" if by_row else "inputs"]
    if by_row and (not isinstance(values, list) or not values):
        raise invalid("instances", "a list of at least one row", values)
    if by_row and any(map(_is_object, values)):
        if not all(_is_object(row) and row.keys() == values[0].keys() for row in values):
            raise invalid("instances", f"objects of {', '.join(names)}", values)
        values = {name: [row[name] for row in values] for name in values[0]}
    if not _is_object(values) and len(names) == 1:
        values = {names[0]: values}
    if not _is_object(values) or not set(values) <= set(names):
        raise invalid("inputs", f"named {', '.join(names)}", values)
    types = {name: tf.as_dtype(definition.inputs[name].dtype) for name in values}
    return {name: _tensor(name, value, types[name]) for name, value in values.items()}, by_row


def write_predict(outputs, by_row):
    """The answer's JSON object; the name of an output is left out where it is the only one."""
    arrays = {name: tf.make_ndarray(outputs[name]) for name in sorted(outputs)}
    # Only the name says whether a string is text.
    values = {n: to_json(a, text=not n.endswith("_bytes")) for n, a in arrays.items()}
    only = next(iter(values.values())) if len(values) == 1 else None
    if not by_row:
        return {"outputs": values if only is None else only}
    rows = {array.shape[:1] for array in arrays.values()}
    if len(rows) > 1 or () in rows:
        raise invalid("instances", "`inputs` where the outputs are not rows", sorted(rows))
    by_name = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return {"predictions": by_name if only is None else only}


def _is_object(value):
    """Whether it is an object of named values; bytes are an object, but one value."""
    return isinstance(value, dict) and set(value) != {"b64"}


def _tensor(name, value, dtype):
    # Lists of several lengths, other base64, half a surrogate pair, a number of 400 digits.
    errors = KeyError, OverflowError, RecursionError, TypeError, ValueError
    with contextlib.suppress(*errors), np.errstate(all="ignore"):
        tensor = tf.make_tensor_proto(from_json(value) if dtype == tf.string else value, dtype)
        # TensorFlow makes 0 of 256 in uint8, without a word.
        if not dtype.is_integer or tf.make_ndarray(tensor).tolist() == value:
            return tensor
    raise invalid(name, f"{dtype.name}, in rows of one shape", value)

"""Tensors as JSON, in the two forms of TensorFlow Serving's REST interface."""

import base64
import binascii

import numpy as np
import tensorflow as tf

from vlae_tf.serving.serving_error import ServingError


def read_predict(body, signature):
    """The inputs in a request's JSON object, as arrays of the signature's types.

    Args:
        body: dict with "instances", one value or object for each row, or "inputs", one value for
            each input.
        signature: a `SignatureDef`.

    Returns:
        The arrays, and whether the request was in rows.

    Raises:
        ServingError: for another form, or values that the signature's types cannot hold.
    """
    forms = {"instances", "inputs"} & set(body)
    if len(forms) != 1:
        raise _invalid("instances", "the request must have `instances` or `inputs`", sorted(forms))
    by_row = forms == {"instances"}
    columns = _columns(body["instances"], signature) if by_row else body["inputs"]
    if not _is_object(columns):
        columns = {_only_input(signature, "inputs"): columns}
    return {
        # `Servable.predict` refuses names that the signature does not have.
        name: _array(name, value, signature.inputs[name].dtype)
        if name in signature.inputs
        else np.zeros(0)
        for name, value in columns.items()
    }, by_row


def write_predict(outputs, by_row):
    """The answer's JSON object; the name of an output is left out where it is the only one."""
    values = {name: _json(name, value) for name, value in outputs.items()}
    if by_row:
        if len(sizes := {value.shape[:1] for value in outputs.values()}) > 1 or () in sizes:
            raise _invalid(
                "instances",
                "all outputs must have a first dimension, and the same; ask with `inputs` instead",
                {name: value.shape for name, value in outputs.items()},
            )
        rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        return {"predictions": rows if len(values) > 1 else next(iter(values.values()))}
    return {"outputs": values if len(values) > 1 else next(iter(values.values()))}


def _columns(rows, signature):
    """Rows as a column for each input."""
    if not isinstance(rows, list) or not rows:
        raise _invalid("instances", "`instances` must be a list of at least one row", rows)
    if not any(map(_is_object, rows)):
        return {_only_input(signature, "instances"): rows}
    names = set(signature.inputs)
    for row in rows:
        if not _is_object(row) or set(row) != names:
            raise _invalid(
                "instances", f"each instance must be an object of {', '.join(sorted(names))}", row
            )
    return {name: [row[name] for row in rows] for name in names}


def _only_input(signature, argument):
    names = sorted(signature.inputs)
    if len(names) != 1:
        raise _invalid(
            argument, f"`{argument}` must name the inputs: {', '.join(names)}", "values without"
        )
    return names[0]


def _is_object(value):
    """Whether it is an object of named values; bytes are an object, but one value."""
    return isinstance(value, dict) and set(value) != {"b64"}


def _array(name, value, dtype):
    dtype = tf.as_dtype(dtype)
    if dtype == tf.string:
        return _strings(name, value)
    if dtype.is_integer:
        return _integers(name, value, dtype)
    try:
        array = np.array(value)
    except ValueError as error:
        raise _invalid(name, f"`{name}` must have rows of one shape", "rows of several") from error
    if array.size and array.dtype.kind not in ("b" if dtype.is_bool else "iuf"):
        raise _invalid(name, f"`{name}` must be of {dtype.name}", value)
    return array.astype(dtype.as_numpy_dtype)


def _integers(name, value, dtype):
    # As Python's own: NumPy has no type for 0 and 2**64 - 1 together, and takes True for 1.
    array = np.array(value, dtype=object)
    if not all(type(leaf) is int and dtype.min <= leaf <= dtype.max for leaf in array.ravel()):
        expected = f"`{name}` must be integers of {dtype.min} to {dtype.max}, in rows of one shape"
        raise _invalid(name, expected, value)
    return array.astype(dtype.as_numpy_dtype)


def _strings(name, value):
    array = np.array(_bytes(name, value), dtype=object)
    if not all(isinstance(leaf, bytes) for leaf in array.ravel()):
        raise _invalid(name, f"`{name}` must have rows of one shape", "rows of several")
    return array


def _bytes(name, value):
    if isinstance(value, list):
        return [_bytes(name, item) for item in value]
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (TypeError, KeyError, binascii.Error) as error:
        expected = f"`{name}` must be strings, or objects of base64 such as {{'b64': 'Zm9v'}}"
        raise _invalid(name, expected, value) from error


def _json(name, array):
    if array.dtype == object:
        # Only the name says whether a string is text.
        encode = _base64 if name.endswith("_bytes") else _text
        return np.asarray(np.frompyfunc(encode, 1, 1)(array), object).tolist()
    if array.dtype.kind in "fV":
        # The shortest number that is read as the same float32: 0.1, not 0.10000000149011612.
        double = array.dtype == np.float64
        return (array if double else array.astype("float32").astype(str).astype(float)).tolist()
    return array.tolist()


def _text(value):
    return value.decode("utf-8", "replace")


def _base64(value):
    return {"b64": base64.b64encode(value).decode()}


def _invalid(name, expected, received):
    return ServingError("INVALID_ARGUMENT", f"{expected}. Received: {name}={str(received)[:200]}")

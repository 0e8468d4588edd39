"""Arrays as the values of JSON, as TensorFlow Serving writes them; client and server share this."""

import base64

import numpy as np


def to_json(array, text=False):
    """Nested lists of an array's values; bytes as base64, `{"b64": "Zm9v"}`, or as `text`."""
    if array.dtype == object:
        write = (lambda value: value.decode(errors="replace")) if text else _base64
        return np.asarray(np.frompyfunc(write, 1, 1)(array), object).tolist()
    if array.dtype.kind in "fV" and array.dtype != np.float64:
        # The shortest number that is read as the same float32: 0.1, not 0.10000000149011612.
        return array.astype("float32").astype(str).astype(float).tolist()
    return array.tolist()


def from_json(value):
    """A value of JSON with text and base64 as bytes.

    Raises:
        Exception: of some kind, for other objects, other base64, and half a surrogate pair.
    """
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"], validate=True)
    return value.encode() if isinstance(value, str) else value


def _base64(value):
    value = value if isinstance(value, bytes) else str(value).encode()
    return {"b64": base64.b64encode(value).decode()}

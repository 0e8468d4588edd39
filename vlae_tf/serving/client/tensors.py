"""NumPy arrays as TensorFlow's `TensorProto` messages, without TensorFlow."""

import math

import numpy as np

# For `message_classes`: TensorFlow's messages of a tensor.
TENSOR_MESSAGES = {
    "Dim": {"size": (1, "int64")},
    "TensorShapeProto": {"dim": (2, ["Dim"]), "unknown_rank": (3, "bool")},
    "TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, ["float"]),
        "double_val": (6, ["double"]),
        "int_val": (7, ["int32"]),
        "string_val": (8, ["bytes"]),
        "int64_val": (10, ["int64"]),
        "bool_val": (11, ["bool"]),
        "half_val": (13, ["int32"]),
        "uint32_val": (16, ["uint32"]),
        "uint64_val": (17, ["uint64"]),
    },
}
# TensorFlow's number of a type, its name, and the field of values that are not packed as bytes.
_TYPES = {
    1: ("float32", "float_val"),
    2: ("float64", "double_val"),
    3: ("int32", "int_val"),
    4: ("uint8", "int_val"),
    5: ("int16", "int_val"),
    6: ("int8", "int_val"),
    7: ("string", "string_val"),
    9: ("int64", "int64_val"),
    10: ("bool", "bool_val"),
    14: ("bfloat16", "half_val"),
    17: ("uint16", "int_val"),
    19: ("float16", "half_val"),
    22: ("uint32", "uint32_val"),
    23: ("uint64", "uint64_val"),
}
_NUMBERS = {name: number for number, (name, _) in _TYPES.items()}


def type_name(number):
    """The name of a type, such as "float32", from its number in TensorFlow's messages."""
    return _TYPES[number][0] if number in _TYPES else f"type {number}"


def fill_tensor(tensor, array):
    """Writes an array into an empty `TensorProto`; one of objects becomes one of strings."""
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        tensor.dtype = _NUMBERS["string"]
        tensor.string_val.extend(map(as_bytes, array.ravel()))
    else:
        tensor.dtype = _NUMBERS[array.dtype.name]
        tensor.tensor_content = array.tobytes()


def read_tensor(tensor):
    """The array of a `TensorProto`: strings as bytes, bfloat16 as float32."""
    name, field = _TYPES[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    # Half precision comes as bits.
    stored = {"string": "object", "bfloat16": "uint16", "float16": "uint16"}.get(name, name)
    if tensor.tensor_content:
        array = np.frombuffer(tensor.tensor_content, stored).copy()
    else:
        values = list(getattr(tensor, field)) or [b"" if name == "string" else 0]
        # The last value stands for all that follow.
        array = np.full(math.prod(shape), values[-1], stored)
        array[: len(values)] = values[: array.size]
    if name == "bfloat16":
        array = (array.astype("uint32") << 16).view("float32")
    return (array.view("float16") if name == "float16" else array).reshape(shape)


def as_bytes(value):
    """A string's bytes; bytes as they are."""
    return value if isinstance(value, bytes) else str(value).encode()

"""Arrays as tensors on the wire: what TensorFlow reads and writes, without TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from vlae_tf.serving.client.tensors import TENSOR_MESSAGES, fill_tensor, read_tensor, type_name
from vlae_tf.serving.messages import message_classes

OWN = message_classes(TENSOR_MESSAGES)["TensorProto"]
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
NUMBERS = (*INTEGERS, "float16", "float32", "float64", "bool")


def own(tensor):
    """TensorFlow's message as ours."""
    return OWN.FromString(tensor.SerializeToString())


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(), (0, 2), (2, 3)])
def test_tensorflow_reads_what_is_written(dtype, shape):
    array = (np.arange(np.prod(shape, dtype=int)).reshape(shape) - 1).astype(dtype)
    tensor = OWN()
    fill_tensor(tensor, array)
    read = tf.make_ndarray(TensorProto.FromString(tensor.SerializeToString()))
    assert read.dtype == array.dtype and type_name(tensor.dtype) == dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("dtype", [*NUMBERS, "bfloat16"])
def test_bytes_and_lists_of_tensorflow_are_read(dtype):
    values = tf.cast([[0, 1, 0], [1, 1, 1]], dtype)
    packed = tf.make_tensor_proto(values)
    # The form of most servers: one number each, the last of which stands for all that follow.
    listed = TensorProto(dtype=packed.dtype, tensor_shape=packed.tensor_shape)
    bits = {"float16": 0x3C00, "bfloat16": 0x3F80}.get(dtype, 1)
    field = {"float32": "float_val", "float64": "double_val", "bool": "bool_val"} | {
        name: f"{name}_val" for name in ("int64", "uint32", "uint64")
    }
    name = "half_val" if dtype in ("float16", "bfloat16") else field.get(dtype, "int_val")
    getattr(listed, name).extend([0, bits, 0, bits])
    for tensor in (packed, listed):
        read = read_tensor(own(tensor))
        assert read.dtype == ("float32" if dtype == "bfloat16" else dtype)
        np.testing.assert_array_equal(read, [[0, 1, 0], [1, 1, 1]])
        read[0] = 0  # of its own


def test_strings_go_both_ways():
    tensor = OWN()
    fill_tensor(tensor, np.array([["a", b"\xff"], ["\N{SNOWMAN}", b""]], object))
    read = tf.make_ndarray(TensorProto.FromString(tensor.SerializeToString()))
    expected = [[b"a", b"\xff"], ["\N{SNOWMAN}".encode(), b""]]
    assert read.tolist() == read_tensor(tensor).tolist() == expected


def test_a_tensor_without_values_is_zero():
    shape = tf.TensorShape([2]).as_proto()
    for dtype, expected in ((tf.float32, [0, 0]), (tf.string, [b"", b""])):
        tensor = TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=shape)
        assert read_tensor(own(tensor)).tolist() == expected
    assert type_name(tf.complex64.as_datatype_enum) == "type 8"

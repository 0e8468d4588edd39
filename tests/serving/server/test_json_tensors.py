"""Tensors as JSON, in TensorFlow Serving's two forms."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from vlae_tf.serving.server.json_tensors import read_predict, write_predict
from vlae_tf.serving.serving_error import ServingError


def signature(**dtypes):
    definition = SignatureDef()
    for name, dtype in dtypes.items():
        definition.inputs[name].dtype = tf.as_dtype(dtype).as_datatype_enum
    return definition


def read(body, definition):
    """The arrays of a request, and whether it was in rows."""
    tensors, by_row = read_predict(body, definition)
    return {name: tf.make_ndarray(tensor) for name, tensor in tensors.items()}, by_row


def write(outputs, by_row):
    return write_predict({n: tf.make_tensor_proto(v) for n, v in outputs.items()}, by_row)


BOTH = signature(image="uint8", seed="int32")


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"image": [0, 1], "seed": 7}, {"image": [1, 1], "seed": -8}]},
        {"inputs": {"image": [[0, 1], [1, 1]], "seed": [7, -8]}},
    ],
)
def test_both_forms_say_the_same(body):
    inputs, by_row = read(body, BOTH)
    assert by_row == ("instances" in body)
    assert {name: value.dtype.name for name, value in inputs.items()} == {
        "image": "uint8",
        "seed": "int32",
    }
    np.testing.assert_array_equal(inputs["image"], [[0, 1], [1, 1]])
    np.testing.assert_array_equal(inputs["seed"], [7, -8])


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ({"instances": [1, 2, 3]}, (3,)),
        ({"instances": [[[1]], [[2]]]}, (2, 1, 1)),
        ({"instances": [{"x": 1}]}, (1,)),
        ({"inputs": [1, 2]}, (2,)),
        ({"inputs": 1}, ()),
        ({"inputs": {"x": [[1, 2]]}}, (1, 2)),
        ({"inputs": []}, (0,)),
    ],
)
def test_the_only_input_needs_no_name(body, shape):
    inputs, _ = read(body, signature(x="float32"))
    assert inputs["x"].shape == shape and inputs["x"].dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float32", [0.1, float("nan"), float("-inf"), 3.0e38]),
        ("float64", [0.1, 1e300]),
        ("bfloat16", [0.5, -2.0]),
        ("int64", [-(2**63), 2**63 - 1]),
        ("uint64", [0, 2**63 - 1]),
        ("uint8", [0, 255]),
        ("bool", [True, False]),
        ("string", ["text", "größer"]),
    ],
)
def test_values_come_back_as_they_went(dtype, value):
    body = json.loads(json.dumps({"inputs": value}))
    inputs, by_row = read(body, signature(x=dtype))
    assert tf.as_dtype(inputs["x"].dtype).name == dtype
    np.testing.assert_array_equal(write(inputs, by_row)["outputs"], value)


def test_bytes_travel_as_base64():
    inputs, _ = read({"instances": [{"b64": "/wA="}, "text"]}, signature(x="string"))
    assert inputs["x"].tolist() == [b"\xff\x00", b"text"]
    assert write({"picture_bytes": inputs["x"]}, True) == {
        "predictions": [{"b64": "/wA="}, {"b64": "dGV4dA=="}]
    }


def test_a_float_is_written_as_short_as_it_can_be_read():
    value = np.array([0.1, 1 / 3], "float32")
    text = json.dumps(write({"y": value}, True))
    assert text == '{"predictions": [0.1, 0.33333334]}'
    np.testing.assert_array_equal(np.float32(json.loads(text)["predictions"]), value)


def test_rows_of_several_outputs_are_objects():
    outputs = {"a": np.array([1, 2]), "b": np.array([[3.0], [4.0]])}
    assert write(outputs, True) == {"predictions": [{"a": 1, "b": [3.0]}, {"a": 2, "b": [4.0]}]}
    assert write(outputs, False) == {"outputs": {"a": [1, 2], "b": [[3.0], [4.0]]}}
    outputs["b"] = np.zeros(3)
    with pytest.raises(ServingError, match="must be `inputs` where the outputs are not rows"):
        write(outputs, True)


@pytest.mark.parametrize(
    ("dtype", "value", "words"),
    [
        ("uint8", [256], "must be uint8"),
        ("uint8", [-1], "must be uint8"),
        ("int32", [2**70], "must be int32"),
        ("int32", [1.5], "must be int32"),
        ("int64", [2**63], "must be int64"),
        ("float32", [10**400], "must be float32"),
        ("int32", [[1], [1, 2]], "rows of one shape"),
        ("bool", [1], "must be bool"),
        ("float32", ["1"], "must be float32"),
        ("float32", [None], "must be float32"),
        ("float32", [{"b64": "AAAA"}], "must be float32"),
        ("float32", [[1], [1, 2]], "rows of one shape"),
        ("string", [1], "must be string"),
        ("string", [{"b64": "?"}], "must be string"),
        ("string", [{"b64": "\u00e9"}], "must be string"),
        ("string", ["\ud800"], "must be string"),
        ("string", [["a"], ["b", "c"]], "rows of one shape"),
    ],
)
def test_values_that_are_not_of_the_type_are_refused(dtype, value, words):
    with pytest.raises(ServingError, match=words) as error:
        read_predict({"inputs": value}, signature(x=dtype))
    assert error.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"instances": [1], "inputs": [1]},
        {"instances": []},
        {"instances": {"image": [[0]], "seed": [1]}},
        {"instances": [1, 2]},
        {"instances": [{"image": [0], "seed": 1}, 3]},
        {"instances": [{"image": [0]}, {"image": [0], "seed": 1}]},
        {"instances": [{"image": [0], "seed": 1, "more": 2}]},
        {"inputs": [[0]]},
    ],
)
def test_other_forms_are_refused(body):
    with pytest.raises(ServingError, match="Received: "):
        read_predict(body, BOTH)

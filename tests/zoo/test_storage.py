"""Weights as float16: every array but the integers, and nothing that float16 does not have."""

import h5py
import numpy as np
import pytest

from tests.tiny import tiny_model
from vlae_tf.files import load_weights, sha256
from vlae_tf.zoo.storage import store_as_float16

pytestmark = pytest.mark.slow


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        file["encoder/vars/0"] = np.array([[0.5, -0.1], [1e-3, 65504.0]], "float32")
        file["encoder/vars/1"] = np.zeros((0,), "float32")
        file["vars/seed_state_0"] = np.array([3, 2**40], "int64")
        file["encoder/vars"].attrs["name"] = "conv2d"
    return path


def read(path):
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(lambda n, i: arrays.update({n: i[()]} if hasattr(i, "dtype") else {}))
    return arrays


def test_floats_are_rounded_and_the_rest_stays(weights):
    before = read(weights)
    change = store_as_float16(weights)
    after = read(weights)
    assert list(after) == list(before)
    for name, array in after.items():
        expected = before[name]
        if expected.dtype == "float32":
            expected = expected.astype("float16")
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    with h5py.File(weights) as file:
        assert file["encoder/vars"].attrs["name"] == "conv2d"
    largest = np.abs(before["encoder/vars/0"] - after["encoder/vars/0"].astype("float32")).max()
    assert change == pytest.approx(largest / 65504.0)


def test_storing_again_changes_nothing(weights):
    store_as_float16(weights)
    before = sha256(weights)
    assert store_as_float16(weights) == 0.0
    assert sha256(weights) == before


@pytest.mark.parametrize("value", [65536.0, -1e5, np.nan, np.inf])
def test_number_that_float16_does_not_have(weights, value):
    with h5py.File(weights, "a") as file:
        file["encoder/vars/0"][1, 1] = value
    before = sha256(weights)
    with pytest.raises(ValueError, match="at most 65504. Received: encoder/vars/0 with"):
        store_as_float16(weights)
    assert sha256(weights) == before and list(weights.parent.iterdir()) == [weights]


def test_model_loads_either_and_computes_in_float32(tmp_path):
    model, path = tiny_model(), tmp_path / "model.weights.h5"
    model.save_weights(path)
    whole = [np.array(weight) for weight in model.weights]
    store_as_float16(path)
    load_weights(model, path)
    for weight, before in zip(model.weights, whole, strict=True):
        assert weight.dtype == before.dtype
        np.testing.assert_allclose(np.array(weight), before, rtol=2**-11, atol=1e-7)

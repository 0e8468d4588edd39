"""Weights as float16: every array but the integers, and nothing that float16 does not have; zeros
where a mask takes weights out."""

import zlib

import h5py
import numpy as np
import pytest

from tests.gradients import randomise
from tests.tiny import random_images, tiny_model
from vlae_tf.files import load_weights, sha256
from vlae_tf.layers import KernelLayer
from vlae_tf.models import importance_weighted_log_prob
from vlae_tf.zoo.storage import pack_weights, store_as_float16

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


def test_a_large_array_is_smaller_than_an_archive_or_hdf5_makes_it(tmp_path):
    values = np.random.default_rng(0).normal(size=(200, 300)).astype("float32")
    values = {"kernel": values, "bias": values.ravel(), "gate": values.reshape(2, 3, 100, 100)}
    halves = {name: array.astype("float16") for name, array in values.items()}
    path, flat, packed = (tmp_path / f"{name}.h5" for name in ("weights", "flat", "packed"))
    for file_path, arrays, options in (
        (path, values, {}),
        (flat, halves, {}),
        (packed, halves, {"shuffle": True, "compression": "gzip", "compression_opts": 9}),
    ):
        with h5py.File(file_path, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array, **options)
    store_as_float16(path)
    for name, array in read(path).items():
        np.testing.assert_array_equal(array, halves[name])
    own, archive, hdf5 = (len(zlib.compress(p.read_bytes())) for p in (path, flat, packed))
    assert own < 0.97 * archive and own < 0.995 * hdf5


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


@pytest.mark.parametrize("weight_norm", [False, True])
def test_weights_that_a_mask_takes_out_are_zero_and_the_model_is_the_same(tmp_path, weight_norm):
    model, loaded = (tiny_model(weight_norm=weight_norm, blocks=1) for _ in range(2))
    path = tmp_path / "model.weights.h5"
    randomise(model)
    # What float16 holds, so that nothing but the zeros is new.
    model.set_weights([w.astype("float16").astype(w.dtype) for w in model.get_weights()])
    images = random_images(4, model.image_shape)
    log_prob = importance_weighted_log_prob(model, images, 2)
    before = model.get_weights()
    model.save_weights(path)
    states = read(path)["vars/seed_state_0"]
    pack_weights(model, path)
    np.testing.assert_array_equal(read(path)["vars/seed_state_0"], states)
    load_weights(loaded, path)
    for one in (model, loaded):
        after = importance_weighted_log_prob(one, images, 2)
        np.testing.assert_array_equal(after, log_prob)
    masked = 0
    for layer in loaded._flatten_layers():
        if isinstance(layer, KernelLayer) and layer._mask is not None:
            kernel = np.array(layer._kernel)
            taken = ~np.broadcast_to(layer._mask, kernel.shape)
            assert not kernel[taken].any() and not np.signbit(kernel[taken]).any()
            masked += taken.sum()
    changed = [(a != b).sum() for a, b in zip(before, loaded.get_weights(), strict=True)]
    assert sum(changed) == masked > 0

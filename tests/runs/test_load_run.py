"""What `load_run` gives, and what it says of a folder that is not as a run leaves it."""

import json
import os
import shutil

import h5py
import keras
import numpy as np
import pytest

from tests.tiny import TINY_MODEL, tiny_recipe
from vlae_tf.models.folder import model_config
from vlae_tf.runs import load_run

pytestmark = [pytest.mark.jax, pytest.mark.usefixtures("eager")]


def write_run(folder, model):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(model_config(model))
    model.save_weights(folder / "model.weights.h5", overwrite=True)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a model in it, and the model."""
    folder = tmp_path_factory.mktemp("saved") / "run"
    model = tiny_recipe("digits.npz").build_model((8, 8, 1))
    write_run(folder, model)
    return folder, model


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved[0], tmp_path / "copy")


def test_config_names_the_version(saved):
    from vlae_tf import __version__

    config = json.loads((saved[0] / "config.json").read_text())
    assert config["vlae_tf_version"] == __version__


def test_loaded_run_is_the_model(saved):
    folder, model = saved
    loaded = load_run(folder)
    for weight, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
    np.testing.assert_array_equal(loaded.sample(2), model.sample(2))


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_policy_is_that_of_the_networks_alone(saved, dtype):
    model = load_run(saved[0], dtype)
    of_policy = (model, model.encoder, model.decoder, model.likelihood_family.network)
    assert {layer.dtype_policy.name for layer in of_policy} == {dtype}
    inner = {layer.dtype_policy.name for layer in model.encoder._flatten_layers()}
    assert inner == {dtype}
    assert {layer.dtype_policy.name for layer in model.prior_family._flatten_layers()} == {
        "float32"
    }
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}


def test_weights_stored_as_float16_become_float32(saved, copy):
    path = copy / "model.weights.h5"
    with h5py.File(path, "a") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        for name in names:
            if file[name].dtype == "float32":
                values = file[name][()]
                del file[name]
                file[name] = values.astype("float16")
    rounded = load_run(copy)
    for variable, exact in zip(rounded.weights, saved[1].weights, strict=True):
        assert variable.dtype == exact.dtype
        exact = keras.ops.convert_to_numpy(exact)
        expected = exact.astype("float16") if exact.dtype == "float32" else exact
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), expected)


# === What is wrong with a folder ===


def test_missing_folder():
    with pytest.raises(ValueError, match="`folder` must be that of a run.*folder='no/such/run'"):
        load_run("no/such/run")


@pytest.mark.parametrize("text", ["", "{}", "[]", "3", "null", '{"vlae_tf_version": "0.2.0"}'])
def test_config_that_is_none(copy, text):
    (copy / "config.json").write_text(text)
    with pytest.raises(ValueError, match="config.json must hold"):
        load_run(copy)


@pytest.mark.parametrize(
    ("version", "told"), [(None, "0.1"), ("0.1.3", "0.1.3"), ("99.0", "99.0"), ("next", "next")]
)
def test_config_of_another_version(copy, version, told):
    path = copy / "config.json"
    config = json.loads(path.read_text())
    del config["vlae_tf_version"]
    if version is not None:
        config["vlae_tf_version"] = version
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=f"config.json must hold.*version {told} of vlae_tf"):
        load_run(copy)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8", 32])
def test_policy_that_would_round_the_weights(copy, dtype):
    with pytest.raises(ValueError, match="`dtype` must be float32 or mixed_.* Received: dtype="):
        load_run(copy, dtype)


def test_config_of_another_model(copy):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    (copy / "config.json").write_text(model_config(model))
    with pytest.raises(ValueError, match="must hold a VAE. Received: a Sequential"):
        load_run(copy)


def test_config_with_what_the_model_was_compiled_with(saved, copy):
    model = load_run(copy)
    model.compile("sgd")
    config = json.loads(model.to_json())
    assert config["compile_config"]
    config["vlae_tf_version"] = "0.2.0"
    (copy / "config.json").write_text(json.dumps(config))
    assert load_run(copy).count_params() == saved[1].count_params()


def test_missing_weights(copy):
    (copy / "model.weights.h5").unlink()
    with pytest.raises(ValueError, match="must be a file of weights.*model.weights.h5"):
        load_run(copy)


def test_truncated_weights(copy):
    path = copy / "model.weights.h5"
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ValueError, match="weights of this very model, whole.*model.weights.h5"):
        load_run(copy)


@pytest.mark.parametrize(
    ("part", "change"),
    [("encoder", {"filters": [3]}), ("decoder", {"blocks": 1}), ("decoder", {"maps": 3})],
)
def test_weights_of_another_model(copy, part, change):
    path = copy / "config.json"
    config = json.loads(path.read_text())
    config["config"][part]["config"] |= change
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="weights of this very model.*of version 0.1"):
        load_run(copy)


def test_weights_of_a_model_with_more_layers(copy):
    decoder = TINY_MODEL["decoder"]
    more = {**decoder, "config": decoder["config"] | {"blocks": 1}}
    recipe = tiny_recipe("digits.npz", model=TINY_MODEL | {"decoder": more})
    model = recipe.build_model((8, 8, 1))
    model.save_weights(copy / "model.weights.h5", overwrite=True)
    with pytest.raises(
        ValueError, match="it holds decoder/.* and 3 more that the model does not have"
    ):
        load_run(copy)

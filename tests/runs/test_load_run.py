"""What `load_run` says about a folder that is not as a run leaves it."""

import json
import os
import shutil

import keras
import pytest

from vlae_tf.runs import load_run
from vlae_tf.runs.load import model_config

pytestmark = pytest.mark.jax


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "copy")


def test_missing_folder():
    with pytest.raises(ValueError, match="`folder` must be that of a run.*folder='no/such/run'"):
        load_run("no/such/run")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"class_name": "VLAE"}'])
def test_config_that_is_none(copy, text):
    (copy / "config.json").write_text(text)
    with pytest.raises(ValueError, match="config.json must hold"):
        load_run(copy)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8", 32])
def test_policy_that_would_round_the_weights(copy, dtype):
    with pytest.raises(ValueError, match="`dtype` must be float32 or mixed_.* Received: dtype="):
        load_run(copy, dtype)


def test_config_of_another_model(copy):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    (copy / "config.json").write_text(model.to_json())
    with pytest.raises(ValueError, match="must hold a VLAE. Received: a Sequential"):
        load_run(copy)


def test_compiled_config_of_earlier_runs(finished, copy):
    (copy / "config.json").write_text(finished[1].to_json())
    assert load_run(copy).count_params() == finished[1].count_params()


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
    [("encoder", {"units": 9}), ("decoder", {"blocks": 0}), ("decoder", {"blocks": 2})],
)
def test_weights_of_another_model(copy, part, change):
    path = copy / "config.json"
    config = json.loads(path.read_text())
    config["config"][part]["config"] |= change
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="weights of this very model"):
        load_run(copy)


def test_weights_of_a_model_with_more_layers(tmp_path, tiny_recipe):
    def build(blocks):
        recipe = tiny_recipe("digits.npz")
        recipe.model["decoder"] |= {"blocks": blocks, "dropout": 0.0}
        return recipe.build_model((8, 8, 1))

    build(2).save_weights(tmp_path / "model.weights.h5")
    (tmp_path / "config.json").write_text(model_config(build(1)))
    with pytest.raises(ValueError, match="the model has [0-9]+ weights and the file [0-9]+"):
        load_run(tmp_path)

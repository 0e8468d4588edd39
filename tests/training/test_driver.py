"""Runs as a whole: what they leave behind, and that a killed one goes on to the same result."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import vlae_tf
from vlae_tf.runs import Recipe, RunRecord, load_run
from vlae_tf.training import train

pytestmark = pytest.mark.jax


class Stop(Exception):
    pass


class StopAtStart(keras.callbacks.Callback):
    """Keeps the weights that training would start with, and ends it there."""

    def on_train_begin(self, logs=None):
        self.weights = self.model.get_weights()
        raise Stop


def first_weights(recipe, folder):
    callback = StopAtStart()
    with pytest.raises(Stop):
        train(recipe, folder, callbacks=[callback], verbose=0)
    return callback.weights


def arrays(path):
    """All that a weights file holds, by name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, x: found.update({name: x[()]} if hasattr(x, "shape") else {}))
    return found


def assert_same(weights, others):
    for weight, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run's folder."""
    return shutil.copytree(finished[0], tmp_path / "copy")


# === Speed ===


def test_tensorflow_reads_no_generator(images, tiny_recipe, tmp_path, monkeypatch):
    """The first one makes every later step of the process slow: `ImageBatches.to_tf_dataset`."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("needs TensorFlow")
    import tensorflow as tf

    def from_generator(*_, **__):
        raise AssertionError("a generator is read")

    monkeypatch.setattr(tf.data.Dataset, "from_generator", from_generator)
    recipe = tiny_recipe(images, epochs=1)
    train(recipe, tmp_path / "run", verbose=0)
    with open(tmp_path / "run" / "history.csv", newline="") as file:
        assert "val_elbo" in next(csv.DictReader(file))  # it validated, too


# === What a run leaves ===


def test_history_has_one_row_an_epoch(finished):
    with (finished[0] / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert np.isfinite([float(row["val_elbo"]) for row in rows]).all()


def test_run_record_tells_how_the_run_was_made(finished):
    folder, model = finished
    record = json.loads((folder / "run.json").read_text())
    (part,) = record["parts"]
    assert part["command"] == "vlae-tf train tiny.json --out run"
    assert (part["first_epoch"], part["epochs"], record["epochs"]) == (0, 3, 3)
    assert record["images"] == 24
    assert record["parameters"] == model.count_params()
    assert record["wall_time_s"] == part["wall_time_s"] > 0
    assert part["versions"]["keras"] == keras.__version__
    assert part["hardware"]["cpu"] and part["hardware"]["cores"] > 0


def test_run_record_tells_of_the_runs_before(finished, images, tiny_recipe, tmp_path):
    def record(folder):
        return json.loads((folder / "run.json").read_text())

    totals, last = {"epochs": 0, "wall_time_s": 0.0}, finished[0]
    for name in ("second", "third"):
        totals = {key: round(value + record(last)[key], 1) for key, value in totals.items()}
        recipe = tiny_recipe(images, epochs=1, initial_weights=str(last / "model.weights.h5"))
        last = tmp_path / name
        train(recipe, last, verbose=0)
        assert record(last)["earlier"] == totals
    assert totals["epochs"] == 4 and "earlier" not in record(finished[0])
    # Resumed where the first run is no longer at hand:
    assert RunRecord(last, initial_weights="gone/model.weights.h5").facts == {"earlier": totals}


def test_nothing_half_written_remains(finished):
    assert not list(finished[0].glob("writing-*"))


def test_recipe_of_a_run_is_kept(finished, images, tiny_recipe):
    assert Recipe.load(finished[0] / "recipe.json") == tiny_recipe(images)


def test_tensorboard_logs(finished):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("needs TensorFlow")
    assert list((finished[0] / "tensorboard").rglob("events*"))


def test_tensorboard_needs_tensorflow(images, tiny_recipe, tmp_path):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("is there")
    with pytest.raises(ValueError, match="needs Keras' TensorFlow backend"):
        train(tiny_recipe(images), tmp_path, tensorboard=True)


def test_loaded_run_is_the_trained_model(finished):
    folder, model = finished
    loaded = load_run(folder)
    assert_same(loaded.get_weights(), model.get_weights())
    np.testing.assert_array_equal(loaded.sample(2), model.sample(2))


def test_kept_weights_are_not_the_last_but_the_averaged(finished):
    averaged = arrays(finished[0] / "model.weights.h5")
    last = arrays(finished[0] / "latest.weights.h5")
    kernels = [name for name in averaged if name.startswith("encoder") and averaged[name].ndim > 1]
    assert kernels
    for name in kernels:
        assert (averaged[name] != last[name]).any()


# === Going on ===


def run_and_die(recipe_path, folder, where, number):
    search_path = [str(Path(vlae_tf.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed_run.py")]
        + [recipe_path, folder, where, str(number)],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(search_path),
            "KERAS_BACKEND": keras.backend.backend(),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.slow
def test_killed_run_goes_on_to_the_same_result(finished, images, tiny_recipe, tmp_path):
    recipe, folder = tiny_recipe(images), tmp_path / "run"
    path = tmp_path / "recipe.json"
    path.write_text(recipe.to_json())

    run_and_die(path, folder, "step", 5)  # in the middle of the second of three epochs
    run_and_die(path, folder, "write", 2)  # while it writes the third checkpoint
    half = folder / "writing-latest.weights.h5"
    assert 0 < half.stat().st_size < (folder / "latest.weights.h5").stat().st_size
    model = train(recipe, folder, verbose=0)

    assert_same(model.get_weights(), finished[1].get_weights())
    for name in ("latest.weights.h5", "model.weights.h5"):
        resumed, whole = arrays(folder / name), arrays(finished[0] / name)
        assert resumed.keys() == whole.keys()
        for key in whole:
            np.testing.assert_array_equal(resumed[key], whole[key], err_msg=key)
    for name in ("history.csv", "recipe.json"):
        assert (folder / name).read_bytes() == (finished[0] / name).read_bytes()
    record = json.loads((folder / "run.json").read_text())
    # The last epoch of the second part was done, and undone.
    assert record["epochs"] == 3 and [part["epochs"] for part in record["parts"]] == [1, 1, 1]
    seconds = [part["wall_time_s"] for part in record["parts"]]
    assert min(seconds) > 0 and record["wall_time_s"] == pytest.approx(sum(seconds))
    assert not list(folder.glob("writing-*"))


def test_finished_run_is_left_as_it_is(finished, copy, images, tiny_recipe):
    model = train(tiny_recipe(images), copy, verbose=0)
    assert_same(model.get_weights(), finished[1].get_weights())
    for name in ("history.csv", "model.weights.h5", "latest.weights.h5"):
        assert (copy / name).read_bytes() == (finished[0] / name).read_bytes()


def test_notes_may_change(copy, images, tiny_recipe):
    train(tiny_recipe(images, notes="as before"), copy, verbose=0)


def test_row_of_an_epoch_without_checkpoint_is_forgotten(copy, images, tiny_recipe):
    history = copy / "history.csv"
    before = history.read_text()
    history.write_text(before + before.splitlines()[-1].replace("2,", "3,", 1) + "\n4,0.1")
    train(tiny_recipe(images), copy, verbose=0)
    assert history.read_text().split() == before.split()


@pytest.mark.parametrize("field", ["epochs", "seed"])
def test_folder_of_another_recipe(copy, images, tiny_recipe, field):
    other = dataclasses.replace(tiny_recipe(images), **{field: 7})
    with pytest.raises(ValueError, match=f"run of the same recipe.*differs in {field}"):
        train(other, copy, verbose=0)


def test_truncated_checkpoint(copy, images, tiny_recipe):
    os.truncate(copy / "latest.weights.h5", 5000)
    with pytest.raises(ValueError, match="weights of this very model, whole. Received.*latest"):
        train(tiny_recipe(images), copy, verbose=0)


def test_weights_without_optimiser_are_no_checkpoint(copy, images, tiny_recipe):
    shutil.copy(copy / "model.weights.h5", copy / "latest.weights.h5")
    with pytest.raises(ValueError, match="(?s)weights of this very model.*latest.*optimizer"):
        train(tiny_recipe(images), copy, verbose=0)


def test_other_number_of_images(copy, tiny_recipe, save_images, tmp_path):
    dataset = save_images(tmp_path / "fewer.npz", train=16, validation=6)
    recipe = tiny_recipe(dataset)
    (copy / "recipe.json").write_text(recipe.to_json())
    with pytest.raises(ValueError, match="has 2 steps.*at step 9"):
        train(recipe, copy, verbose=0)


# === Starting ===


def test_first_weights_follow_from_the_seed(images, tiny_recipe, tmp_path):
    recipe = tiny_recipe(images)
    weights = first_weights(recipe, tmp_path / "a")
    assert_same(first_weights(recipe, tmp_path / "b"), weights)
    others = first_weights(dataclasses.replace(recipe, seed=1), tmp_path / "c")
    assert any((weight != other).any() for weight, other in zip(weights, others, strict=True))


def test_initial_weights(finished, images, tiny_recipe, tmp_path):
    path = finished[0] / "model.weights.h5"
    recipe = tiny_recipe(images, initial_weights=str(path))
    assert_same(first_weights(recipe, tmp_path), finished[1].get_weights())


def test_missing_initial_weights(images, tiny_recipe, tmp_path):
    recipe = tiny_recipe(images, initial_weights="none.weights.h5")
    with pytest.raises(ValueError, match="must be a file of weights.*none.weights.h5"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_intensities_without_binarisation(tiny_recipe, save_images, tmp_path):
    dataset = save_images(tmp_path / "grey.npz", highest=255, train=4)
    with pytest.raises(ValueError, match="`binarise` say how.*binarise=None"):
        train(tiny_recipe(dataset, validation_split=None), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_diverging_run_is_stopped_with_nothing_spoilt(images, tiny_recipe, tmp_path):
    recipe = tiny_recipe(images, learning_rate=1e30, global_clipnorm=None, warmup_steps=0)
    with pytest.raises(FloatingPointError, match="Training stopped at step [123] .epoch 1."):
        train(recipe, tmp_path, verbose=0)
    assert not list(tmp_path.glob("*.weights.h5"))

"""Runs as a whole: what they leave behind, and that a killed one goes on to the same result."""

import csv
import errno
import json
import os
import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from tests.tiny import TINY_MODEL, eagerly, run_python, write_images
from vlae_tf.files import locked
from vlae_tf.runs import Recipe, RunData, RunRecord, load_run
from vlae_tf.training import train
from vlae_tf.training.driver import compiled_model

pytestmark = [pytest.mark.slow, pytest.mark.jax, pytest.mark.usefixtures("eager")]


def first_weights(recipe):
    """Those that training would start with."""
    return compiled_model(RunData(recipe)).get_weights()


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


def test_images_are_read_once_and_batches_made_once(finished, calls):
    assert calls.count("load_arrays") == 2  # training and validation images
    assert calls.count("ImageBatches") == 1


def test_tensorflow_reads_no_generator(finished, calls):
    """The first one makes every later step of the process slow: `ImageBatches.to_tf_dataset`."""
    assert "from_generator" not in calls


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


@pytest.fixture(scope="module")
def continued(finished, images, run_recipe, tmp_path_factory):
    """A run from the weights of the finished one, with another optimiser and several batches to an
    update: the folder, the recipe, and the model it gave."""
    config = {"gradient_accumulation_steps": 2, "use_ema": False}
    recipe = run_recipe(
        images,
        epochs=2,
        initial_weights=str(finished[0] / "model.weights.h5"),
        optimizer={"class_name": "Adam", "config": config},
        schedule=None,
    )
    folder = tmp_path_factory.mktemp("continued") / "run"
    with eagerly():
        return folder, recipe, train(recipe, folder, verbose=0)


def test_run_record_tells_of_the_runs_before(finished, continued, tmp_path):
    def totals(folder):
        record = json.loads((folder / "run.json").read_text())
        return {key: record[key] for key in ("epochs", "wall_time_s")}, record.get("earlier")

    (first, earlier), (second, before) = totals(finished[0]), totals(continued[0])
    assert earlier is None and before == first and first["epochs"] == 3
    callback = RunRecord(tmp_path, initial_weights=continued[0] / "model.weights.h5")
    callback.set_model(finished[1])
    callback.on_train_begin()
    callback.on_epoch_end(0)
    both = {key: round(first[key] + second[key], 1) for key in first}
    assert totals(tmp_path)[1] == both and both["epochs"] == 5
    # Resumed where the first run is no longer at hand:
    assert RunRecord(tmp_path, initial_weights="gone/model.weights.h5").facts == {"earlier": both}


def test_several_batches_to_an_update(continued):
    """A resumed run finds its epoch, though the updates are fewer; without averages, the weights
    themselves are kept."""
    folder, recipe, model = continued
    assert (int(model.optimizer.iterations), int(model.optimizer.variables[0])) == (3, 6)
    last, kept = (arrays(folder / f"{name}.weights.h5") for name in ("latest", "model"))
    assert kept and all((last[name] == kept[name]).all() for name in kept)
    assert_same(train(recipe, folder, verbose=0).get_weights(), model.get_weights())


def test_nothing_half_written_remains(finished):
    assert not list(finished[0].glob("writing-*"))


def test_recipe_of_a_run_is_kept(finished, images, run_recipe):
    assert Recipe.load(finished[0] / "recipe.json") == run_recipe(images)


def test_tensorboard_logs(finished):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("needs TensorFlow")
    assert list((finished[0] / "tensorboard").rglob("events*"))


def test_tensorboard_needs_tensorflow(images, run_recipe, tmp_path):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("is there")
    with pytest.raises(ValueError, match="needs Keras' TensorFlow backend"):
        train(run_recipe(images), tmp_path, tensorboard=True)


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


def test_killed_run_continues_to_the_same_result(finished, images, run_recipe, tmp_path):
    recipe, folder = run_recipe(images), tmp_path / "run"
    path = tmp_path / "recipe.json"
    path.write_text(recipe.to_json())

    # Killed in the middle of the second of three epochs, then while it writes the third checkpoint.
    code = Path(__file__).with_name("killed_run.py").read_text()
    backend = keras.backend.backend()
    assert run_python(code, path, folder, KERAS_BACKEND=backend).split() == ["9", "9"]
    (half,) = folder.glob("writing-*-latest.weights.h5")
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


def test_finished_run_is_left_as_it_is(finished, copy, images, run_recipe):
    """Notes may have changed. A row without a checkpoint, of a run killed there, is forgotten."""
    history = copy / "history.csv"
    before = history.read_text()
    history.write_text(before + before.splitlines()[-1].replace("2,", "3,", 1) + "\n4,0.1")
    model = train(run_recipe(images, notes="as before"), copy, verbose=0)
    assert_same(model.get_weights(), finished[1].get_weights())
    for name in ("history.csv", "model.weights.h5", "latest.weights.h5"):
        assert (copy / name).read_bytes() == (finished[0] / name).read_bytes()


@pytest.mark.parametrize("field", ["epochs", "seed"])
def test_folder_of_another_recipe(copy, images, run_recipe, field):
    other = run_recipe(images, **{field: 7})
    with pytest.raises(ValueError, match=f"run of the same recipe.*differs in {field}"):
        train(other, copy, verbose=0)


def test_the_name_of_a_recipe_is_none(tmp_path):
    with pytest.raises(ValueError, match="`recipe` must be a `Recipe`.*recipe='mnist_static'"):
        train("mnist_static", tmp_path / "run")


def test_a_run_is_not_resumed_with_another_recipe_under_its_name(copy, images, run_recipe):
    """What stands in the run's folder was taken for what it began with."""
    changed = run_recipe(images, objective={"class_name": "ELBO", "config": {"warmup_steps": 9}})
    (copy / "recipe.json").write_text(changed.to_json())
    with pytest.raises(ValueError, match="`out` must be .* that it began with.*changed since"):
        train(changed, copy, verbose=0)
    (copy / "recipe.json").unlink()
    with pytest.raises(ValueError, match="`out` must be .*a run with its recipe.json"):
        train(changed, copy, verbose=0)
    # The data may lie elsewhere: their pixels are compared.
    moved = shutil.copy(images, copy / "moved.npz")
    (copy / "recipe.json").write_text(run_recipe(moved).to_json())
    train(run_recipe(moved), copy, verbose=0)


def test_truncated_checkpoint(copy, images, run_recipe):
    os.truncate(copy / "latest.weights.h5", 5000)
    with pytest.raises(ValueError, match="weights of this very model, whole.*Received.*latest"):
        train(run_recipe(images), copy, verbose=0)


def test_weights_without_optimiser_are_no_checkpoint(copy, images, run_recipe):
    shutil.copy(copy / "model.weights.h5", copy / "latest.weights.h5")
    with pytest.raises(ValueError, match="(?s)weights of this very model.*latest.*optimizer"):
        train(run_recipe(images), copy, verbose=0)


def test_other_number_of_images(copy, run_recipe, tmp_path):
    dataset = write_images(tmp_path / "fewer.npz", train=16, validation=6)
    recipe = run_recipe(dataset)
    (copy / "recipe.json").write_text(recipe.to_json())
    (copy / "run.json").unlink()  # which knows the images themselves
    with pytest.raises(ValueError, match="at step 9, not .* of 2 steps: the data set"):
        train(recipe, copy, verbose=0)


def test_a_run_is_trained_by_one_process(copy, images, run_recipe):
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    refused = pytest.raises(ValueError, match="`out` must be a run that no other process")
    with locked(copy) as alone, refused:
        assert alone
        train(run_recipe(images), copy, verbose=0)
    assert before == {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    with locked(copy) as alone:
        assert alone


# === Starting ===


def test_first_weights_follow_from_the_seed(images, run_recipe):
    recipe = run_recipe(images)
    weights = first_weights(recipe)
    assert_same(first_weights(recipe), weights)
    others = first_weights(recipe.replace(seed=1))
    assert any((weight != other).any() for weight, other in zip(weights, others, strict=True))


def test_initial_weights(finished, images, run_recipe):
    recipe = run_recipe(images, initial_weights=str(finished[0] / "model.weights.h5"))
    assert_same(first_weights(recipe), finished[1].get_weights())


def test_missing_initial_weights(images, run_recipe, tmp_path):
    recipe = run_recipe(images, initial_weights="none.weights.h5")
    with pytest.raises(ValueError, match="must be a file of weights.*none.weights.h5"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_intensities_without_binarisation(run_recipe, tmp_path):
    dataset = write_images(tmp_path / "grey.npz", levels=256, train=4)
    with pytest.raises(ValueError, match="`binarise` must be .*dynamic.*binarise=None"):
        train(run_recipe(dataset, validation_split=None), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_diverging_run_is_stopped_with_nothing_spoilt(images, run_recipe, tmp_path):
    steep = {"class_name": "Adamax", "config": {"learning_rate": 1e30}}
    recipe = run_recipe(images, model=TINY_MODEL, optimizer=steep, schedule=None)
    with pytest.raises(FloatingPointError, match="Training stopped at step [123] .epoch 1."):
        train(recipe, tmp_path, verbose=0)
    assert not list(tmp_path.glob("*.weights.h5"))


FULL = "Unable to create dataset (errno = 28, error message = 'No space left on device')"


@pytest.mark.parametrize(
    ("place", "error", "file"),
    [
        ("keras.Model.save_weights", OSError(FULL), "model.weights.h5"),
        ("keras.Model.save_weights", RuntimeError(FULL), "model.weights.h5"),
        (
            "keras.callbacks.CSVLogger.on_epoch_end",
            OSError(errno.ENOSPC, "No space left on device"),
            "history.csv",
        ),
    ],
    ids=["h5", "h5 closing", "csv"],
)
def test_full_disk_is_one_line_that_names_the_file(
    images, run_recipe, tmp_path, monkeypatch, place, error, file
):
    def full(*_, **__):
        raise error

    recipe = run_recipe(images, epochs=1, validation_split=None)
    with monkeypatch.context() as patched:
        patched.setattr(place, full)
        with pytest.raises(OSError) as caught, eagerly():
            train(recipe, tmp_path / "run", verbose=0)
    path = str(tmp_path / "run" / file)
    assert str(caught.value) == f"[Errno 28] No space left on device: '{path}'"
    # With room again, the same call goes on.
    with eagerly():
        train(recipe, tmp_path / "run", verbose=0)
    assert (tmp_path / "run" / "model.weights.h5").is_file()


# === The images of a run ===


def test_other_images_in_the_same_place_are_told(run_recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = run_recipe(write_images("images.npz", train=12, validation=4))
    with eagerly():
        train(recipe, "run", verbose=0)
    for sizes, words in [
        ({"train": 12, "validation": 5}, "'validation' had 4 images, and has 5 now"),
        ({"validation": 4, "train": 12}, "'train' had 12 images, and has as many, of other pixels"),
    ]:
        write_images("images.npz", **sizes)
        with pytest.raises(ValueError, match=f"images that the run began with.*{words}"):
            train(recipe, "run", verbose=0)


def test_own_images_are_found_from_another_folder(run_recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = run_recipe(write_images("images.npz", train=12, validation=4))
    with eagerly():
        train(recipe, "run", verbose=0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    kept = Recipe.load(tmp_path / "run" / "recipe.json")
    assert kept.dataset == str(tmp_path / "images.npz")
    assert len(RunData(kept).images) == 12

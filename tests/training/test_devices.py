"""Several devices, and several workers: the same steps as one device, and errors at once."""

import csv
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from tests.tiny import run_json, tiny_recipe, write_images
from vlae_tf.datasets.prompt import can_be_divided
from vlae_tf.noise import batch_normal
from vlae_tf.training import devices, on_devices, on_workers, train

HERE = Path(__file__).parent
ON_JAX = keras.backend.backend() == "jax"
MLP = {
    "latent_dim": 2,
    "encoder": {"class_name": "MLPEncoder", "config": {"units": [4]}},
    "decoder": {"class_name": "MLPDecoder", "config": {"units": [4]}},
    "prior_family": {"class_name": "FlowPrior", "config": {"steps": 0}},
    "likelihood_family": {"class_name": "BernoulliLikelihood"},
}


def address():
    """An address of this machine that nobody listens to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def tf_config(workers, index):
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": workers}, "task": task})


# === The same as one device ===


@pytest.mark.jax
@pytest.mark.slow
@pytest.mark.parametrize(("count", "objectives"), [(2, 1 if ON_JAX else 5), (8, 1)])
def test_three_steps_are_those_of_one_device(count, objectives):
    """Rows that do not divide, all of the batch's statistics, clipping, averages, evaluation and
    codes."""
    flags = os.environ.get("XLA_FLAGS", "")
    flags = f"{flags} --xla_force_host_platform_device_count={count}"
    backend = {"KERAS_BACKEND": keras.backend.backend(), "XLA_FLAGS": flags}
    code = (HERE / "many_devices.py").read_text()
    for objective, differences in run_json(code, count, objectives, **backend).items():
        for what, difference in differences.items():
            assert difference < 1e-5, (objective, what)


@pytest.mark.jax
def test_noise_on_one_device_is_that_of_keras():
    first, second = keras.random.SeedGenerator(3), keras.random.SeedGenerator(3)
    noise = batch_normal((2, 5, 3), first, axis=1)
    expected = keras.random.normal((2, 5, 3), seed=second)
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (noise, expected)))


# === Workers ===


def start(workers, index, recipe, out, *steps):
    environment = os.environ | {
        "TF_CONFIG": tf_config(workers, index),
        "KERAS_BACKEND": "tensorflow",
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parents[1]), *sys.path])
    arguments = [sys.executable, HERE / "worker.py", recipe, out, *map(str, steps)]
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)


def end(processes):
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.slow
def test_workers_train_as_one_device_and_a_killed_one_resumes(tmp_path):
    dataset = write_images(tmp_path / "images.npz", train=15, validation=5)
    fields = {"model": MLP, "epochs": 3, "batch_size": 5, "validation_split": "validation"}
    recipe = tiny_recipe(dataset, **fields)
    path, out = tmp_path / "recipe.json", tmp_path / "run"
    path.write_text(recipe.to_json())
    train(recipe, tmp_path / "alone", verbose=0)

    workers = [address(), address()]
    # The second worker is killed in the second epoch; the first one then fails, or waits for it.
    processes = [start(workers, 0, path, out), start(workers, 1, path, out, 5)]
    try:
        assert processes[1].wait(timeout=120) == -9
        assert (out / "latest.weights.h5").exists()
    finally:
        end(processes)
    processes = [start(workers, index, path, out) for index in range(2)]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    finally:
        end(processes)

    with (
        h5py.File(out / "latest.weights.h5") as file,
        h5py.File(tmp_path / "alone" / "latest.weights.h5") as alone,
    ):
        names = []
        alone.visititems(lambda name, x: names.append(name) if hasattr(x, "shape") else None)
        for name in names:
            np.testing.assert_allclose(file[name][()], alone[name][()], atol=1e-5, err_msg=name)
    with (out / "history.csv").open() as file, (tmp_path / "alone" / "history.csv").open() as alone:
        for row, expected in zip(csv.DictReader(file), csv.DictReader(alone), strict=True):
            assert {k: pytest.approx(float(v), abs=1e-5) for k, v in expected.items()} == {
                k: float(v) for k, v in row.items()
            }
    record = json.loads((out / "run.json").read_text())
    assert record["parts"][-1]["hardware"]["replicas"] == 2
    assert record["parts"][-1]["hardware"]["workers"] == 2


def test_a_worker_that_does_not_answer(monkeypatch):
    if ON_JAX:
        pytest.skip("workers need TensorFlow")
    monkeypatch.setenv("TF_CONFIG", tf_config([address(), missing := address()], 0))
    began = time.monotonic()
    with pytest.raises(
        ValueError, match=f"reached within 0.5 s. Received: no answer from {missing}"
    ):
        with on_workers(wait=0.5):
            pass
    assert time.monotonic() - began < 10


@pytest.mark.jax
@pytest.mark.parametrize(
    "text",
    [
        "worker",
        '{"cluster": {"worker": ["a:1", "b:2"]}}',
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a", "b"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_cluster_that_cannot_be_read(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="`TF_CONFIG` must be JSON of the form .*Received: "):
        devices.cluster()


@pytest.mark.jax
def test_clusters(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(["a:1", "b:2"], 1))
    assert devices.cluster() == (["a:1", "b:2"], 1)
    cluster = {"chief": ["c:3"], "worker": ["a:1"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    assert devices.cluster() == (["c:3", "a:1"], 1)
    # Some schedulers set it for a process that works alone.
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {}, "task": {"type": "chief", "index": 0}}')
    assert devices.cluster() == ([], 0)
    monkeypatch.delenv("TF_CONFIG")
    assert devices.cluster() == ([], 0)


def test_workers_use_all_of_their_devices(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CONFIG", tf_config(["a:1", "b:2"], 0))
    recipe = tiny_recipe("images.npz", model=MLP)
    with pytest.raises(ValueError, match="`devices` must be None where TF_CONFIG names workers"):
        train(recipe, tmp_path / "run", devices=2)


# === Devices that are not there, batches that they cannot share ===


@pytest.mark.jax
@pytest.mark.parametrize("count", [0, 99, 1.5])
def test_devices_that_are_not_there(count):
    with pytest.raises(ValueError, match=f"`devices` must be .*Received: devices={count}"):
        with on_devices(count):
            pass


@pytest.mark.jax
@pytest.mark.parametrize("name", ["images", "validation"])
def test_a_batch_that_the_devices_cannot_share(monkeypatch, name):
    from tests.tiny import random_images, tiny_model
    from vlae_tf.models import prompt_data

    model, images = tiny_model(), random_images(9)
    model.compile("adam")
    monkeypatch.setattr(prompt_data, "replicas", lambda model: 4)
    data = {"x": images, "batch_size": 8} if name == "images" else {
        "x": images[:8], "batch_size": 8, "validation_data": images
    }  # fmt: skip
    with pytest.raises(ValueError, match="`batch_size` must be such that 4 .*=8 for 9 images"):
        model.fit(**data)


@pytest.mark.jax
def test_which_batches_can_be_shared():
    assert can_be_divided(9, 4, 1)
    assert can_be_divided(8, 4, 4)
    assert can_be_divided(10, 10, 4)
    assert not can_be_divided(9, 4, 4)
    # 9 = 6 + 3 rows over two devices: JAX would have to divide 3.
    assert can_be_divided(9, 6, 2) != ON_JAX


@pytest.mark.jax
def test_a_recipe_whose_batch_is_too_small(monkeypatch, tmp_path):
    from vlae_tf.training import driver

    monkeypatch.setattr(driver, "replicas", lambda: 8)
    dataset = write_images(tmp_path / "images.npz", train=20)
    recipe = tiny_recipe(dataset, model=MLP, batch_size=6)
    with pytest.raises(ValueError, match="`batch_size` must be .*8 devices.*batch_size=6"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_accumulated_gradients_on_several_devices(monkeypatch, tmp_path):
    if ON_JAX:
        pytest.skip("JAX has them")
    from vlae_tf.training import driver

    monkeypatch.setattr(driver, "replicas", lambda: 2)
    dataset = write_images(tmp_path / "images.npz", train=20)
    optimizer = {"class_name": "Adam", "config": {"gradient_accumulation_steps": 2}}
    recipe = tiny_recipe(dataset, model=MLP, optimizer=optimizer)
    with pytest.raises(ValueError, match="`gradient_accumulation_steps` must be None"):
        train(recipe, tmp_path / "run")

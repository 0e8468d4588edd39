"""What every test shares: quiet libraries, fixed seeds, and which tests this machine can run."""

import gc
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

# Read by the libraries when they are imported, so they are set before that.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")
# As `import vlae_tf` does before TensorFlow: the processes that tests start compute the same.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# pytest-xdist has a process for each core; further threads would only wait for tiny models.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What XLA compiles here runs for a moment: the better code would take longer to make than it saves.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
# JAX keeps what it compiled, for other tests, processes and runs that compile the same.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from tests.tiny import eagerly, tiny_recipe  # noqa: E402

pytest_plugins = ["tests.served"]

if find_spec("tensorflow") is None:
    # A file can be imported here only if its author meant it to be: one that holds a jax test.
    collect_ignore = [
        str(path)
        for path in Path(__file__).parent.rglob("test_*.py")
        if "mark.jax" not in path.read_text(encoding="utf-8")
    ]


def pytest_collection_finish():
    """From here on garbage is not looked for in all that was imported: a second each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_runtest_setup(item):
    if item.get_closest_marker("data") and not os.environ.get("TFDS_DATA_DIR"):
        pytest.skip("TFDS_DATA_DIR does not name a folder of prepared data sets")


@pytest.fixture(autouse=True)
def seeds():
    """Python, NumPy and Keras start from the same seed in every test."""
    keras.utils.set_random_seed(0)


@pytest.fixture
def eager():
    """For tests that take a step or two of a model, or call each of its functions once."""
    with eagerly():
        yield


# === A run and a zoo of one entry, trained for a moment on 8x8 images ===


@pytest.fixture(scope="session")
def tiny_recipe_file(tmp_path_factory):
    """A recipe in JSON beside the images it names."""
    folder = tmp_path_factory.mktemp("tiny")
    images = (np.random.default_rng(0).random((96, 8, 8, 1)) < 0.2).astype("uint8")
    np.savez(folder / "images.npz", train=images[:32], test=images[32:])
    path = folder / "recipe.json"
    path.write_text(tiny_recipe(folder / "images.npz").to_json())
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_recipe_file):
    """A finished and evaluated run."""
    from vlae_tf.evaluation import evaluate_run
    from vlae_tf.runs import Recipe
    from vlae_tf.training import train

    run = tiny_recipe_file.parent / "run"
    recipe = Recipe.load(tiny_recipe_file)
    with eagerly():
        train(recipe, run, verbose=0, command="vlae-tf train recipe.json --out run")
        evaluate_run(run, importance_samples=2, num_images=8, command="vlae-tf evaluate run")
    return run


@pytest.fixture(scope="session")
def load_once():
    """`load_run`, with one model for each weights file, so that its functions are compiled once."""
    from vlae_tf.files import sha256
    from vlae_tf.runs import load_run

    models = {}

    def load(folder, dtype=None):
        key = sha256(folder / "model.weights.h5"), dtype
        if key not in models:
            models[key] = load_run(folder, dtype)
        return models[key]

    return load


@pytest.fixture(scope="session")
def tiny_entry(tiny_run):
    """That run as a zoo entry."""
    from vlae_tf.zoo import publishing

    folder = tiny_run.parent / "zoo" / "tiny"
    publishing.publish(tiny_run, folder)
    return folder


@pytest.fixture
def tiny_zoo(tiny_entry, tmp_path, monkeypatch):
    """A zoo with a copy of that entry alone, in the place of the real one."""
    from vlae_tf import catalogue

    folder = tmp_path / "zoo"
    shutil.copytree(tiny_entry, folder / "tiny")
    monkeypatch.setattr(catalogue, "ZOO", folder)
    return folder

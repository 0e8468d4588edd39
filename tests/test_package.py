"""The package as a whole: its names, what importing it costs, and the examples it shows."""

import contextlib
import doctest
import importlib
import inspect
import json
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import pytest

import vlae_tf
from tests.tiny import eagerly, random_images, run_json, tiny_parts
from vlae_tf import start_up

pytestmark = pytest.mark.slow

ROOT = Path(vlae_tf.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if path.name != "__main__.py"
)
# What needs TensorFlow, or a package of an extra: all other modules load without.
WITH_MORE = (
    "vlae_tf.cli",
    "vlae_tf.datasets",
    "vlae_tf.explorer.app",
    "vlae_tf.saved_model.png_signatures",
    "vlae_tf.saved_model.runtime_writers",
    "vlae_tf.saved_model.signatures",
    "vlae_tf.serving.messages",
    "vlae_tf.serving.server",
    "vlae_tf.tuning",
)


@pytest.mark.jax
def test_version_is_the_installed_one():
    assert vlae_tf.__version__ == version("vlae_tf")


@pytest.mark.parametrize("name", vlae_tf.__all__)
def test_public_name_is_there_and_documented(name):
    value = getattr(vlae_tf, name)
    if inspect.ismodule(value) or callable(value):
        assert inspect.getdoc(value)
        # A class inherits its parent's text when it has none: that does not document it.
        assert value.__doc__


# What a fresh process has loaded after each step, beside the standard library.
STEPS = """
import contextlib, io, json, sys
before = set(sys.modules)
loaded = {}
def note(step):
    names = {name.partition(".")[0] for name in set(sys.modules) - before}
    loaded[step] = sorted(names - sys.stdlib_module_names)
import vlae_tf
note("package")
from vlae_tf.serving import Client
Client("http://localhost:8501", "tiny").close()
note("client")
Client("grpc://localhost:8500", "tiny").close()
note("client over gRPC")
sys.argv = ["vlae-tf", "--help"]
from vlae_tf.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
note("help")
print(json.dumps(loaded))
"""


def test_what_is_imported_without_keras_or_tensorflow():
    loaded = {step: set(names) for step, names in run_json(STEPS).items()}
    assert loaded["package"] == {"vlae_tf"}
    assert loaded["client"] == {"numpy", "vlae_tf"}
    assert {"grpc", "google"} < loaded["client over gRPC"] and "rich" in loaded["help"]
    for names in loaded.values():
        assert not names & {"keras", "tensorflow", "tensorflow_probability", "tf_keras", "jax"}


# Without TensorFlow and its data sets: what cannot be imported, the pixels of own images, what
# `export` says, and which models are in Keras' registry when vlae_tf was imported before Keras.
ON_JAX = """
import importlib, json, sys
sys.modules["tensorflow"] = sys.modules["tensorflow_datasets"] = None
import vlae_tf, keras
registry = keras.saving.get_custom_objects()
registered = {"before": [name in registry for name in ("vlae_tf>VAE", "vlae_tf>VLAE")]}
import vlae_tf.models
registered["after"] = [registry[f"vlae_tf>{m.__name__}"] is m for m in (vlae_tf.VAE, vlae_tf.VLAE)]
failed = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
import numpy as np
grey = vlae_tf.datasets.load_arrays(np.full((4, 2, 2, 1), 128, "uint8"))
(pixels,) = vlae_tf.datasets.ImageBatches(grey, 4, binarise=True)[0]
try:
    vlae_tf.saved_model.export(None, sys.argv[2])
except ValueError as error:
    export = str(error)
brightest = float(pixels.max())
found = {"failed": failed, "registered": registered, "brightest": brightest, "export": export}
print(json.dumps(found))
"""


@pytest.mark.jax
def test_model_core_and_an_error_of_export_where_tensorflow_cannot_be(tmp_path):
    core = [name for name in MODULES if not name.startswith(WITH_MORE)]
    assert {"vlae_tf.backend", "vlae_tf.serving.client.client"} < set(core)
    found = run_json(ON_JAX, json.dumps(core), tmp_path / "served", KERAS_BACKEND="jax")
    assert found["failed"] == {} and found["brightest"] <= 1
    assert found["registered"] == {"before": [True, True], "after": [True, True]}
    assert "needs Keras' TensorFlow backend" in found["export"]
    assert "Received: KERAS_BACKEND='jax'" in found["export"]
    assert not any(tmp_path.iterdir())


@pytest.mark.jax
@pytest.mark.parametrize("name", ["VAE", "VLAE"])
def test_a_model_loads_by_its_stand_in_in_the_registry(name, monkeypatch):
    model = getattr(vlae_tf, name)((6, 6, 1), 3, **tiny_parts())
    config = keras.saving.serialize_keras_object(model)
    stand_in = start_up.OnDemand("models", name)
    monkeypatch.setitem(keras.saving.get_custom_objects(), f"vlae_tf>{name}", stand_in)
    loaded = keras.saving.deserialize_keras_object(config)
    assert type(loaded) is type(model)
    loaded.set_weights(model.get_weights())
    images = random_images(2)
    np.testing.assert_array_equal(loaded.encode(images), model.encode(images))


@pytest.fixture
def small_defaults(monkeypatch):
    """The parts that `VLAE` takes unless given, of a size that is built in a moment."""
    vlae = importlib.import_module("vlae_tf.models.vlae")
    for name, part in (
        ("ResNetEncoder", "encoder"),
        ("ResNetDecoder", "decoder"),
        ("PixelCNNLikelihood", "likelihood_family"),
    ):
        monkeypatch.setattr(
            vlae,
            name,
            lambda image_shape=(8, 8, 1), part=part, **options: tiny_parts(image_shape)[part],
        )


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name, tmp_path, monkeypatch, small_defaults):
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    # The zoo's example alone is of a full size, which a graph draws sooner.
    with contextlib.nullcontext() if name == "vlae_tf.zoo.loading" else eagerly():
        assert doctest.testmod(importlib.import_module(name), optionflags=flags).failed == 0

"""The package as a whole: its names, what importing it costs, and the examples it shows."""

import doctest
import importlib
import inspect
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import vlae_tf
from tests import tiny

ROOT = Path(vlae_tf.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if path.name != "__main__.py"
)
# Outside the rooms that may use it, no module may need TensorFlow.
TENSORFLOW_ROOMS = ("vlae_tf.datasets", "vlae_tf.serving", "vlae_tf.tuning", "vlae_tf.cli")


def run_python(code, **environment):
    """What `code` prints in an interpreter of its own, as JSON."""
    # The parent's search path, so that the child finds the same package, installed or not.
    environment = {"PYTHONPATH": str(ROOT.parent), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def third_party_modules(statement):
    """Top-level packages outside the standard library that `statement` imports."""
    return set(
        run_python(
            "import json, sys\n"
            "before = set(sys.modules)\n"
            f"{statement}\n"
            "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
            "print(json.dumps(sorted(names - sys.stdlib_module_names)))"
        )
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


def test_importing_the_package_loads_no_more_than_keras_does():
    extra = third_party_modules("import vlae_tf") - third_party_modules("import keras")
    assert extra == {"vlae_tf"}


@pytest.mark.jax
def test_model_core_imports_where_tensorflow_cannot_be():
    core = [name for name in MODULES if not name.startswith(TENSORFLOW_ROOMS)]
    assert "vlae_tf.backend" in core
    failed = run_python(
        "import importlib, json, sys\n"
        "sys.modules['tensorflow'] = None\n"
        "failed = {}\n"
        f"for name in {core}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except Exception as error:\n"
        "        failed[name] = repr(error)\n"
        "print(json.dumps(failed))",
        KERAS_BACKEND="jax",
    )
    assert failed == {}


@pytest.fixture
def small_defaults(monkeypatch):
    """The parts that `VLAE` takes unless given, of a size that is built in a moment."""
    vlae = importlib.import_module("vlae_tf.models.vlae")
    parts = tiny.tiny_parts
    for name, part in (
        ("ResNetEncoder", "encoder"),
        ("ResNetDecoder", "decoder"),
        ("PixelCNNLikelihood", "likelihood_family"),
    ):
        monkeypatch.setattr(
            vlae,
            name,
            lambda image_shape=(8, 8, 1), part=part, **options: parts(image_shape)[part],
        )


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name, tmp_path, monkeypatch, small_defaults):
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(importlib.import_module(name), optionflags=flags).failed == 0

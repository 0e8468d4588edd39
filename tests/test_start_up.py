"""The command line before a command needs Keras, and what a first import prints."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import vlae_tf
from tests.tiny import run_python
from vlae_tf import start_up

LOG = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    "I0000 00:00:1795917984.741424   16820 port.cc:153] oneDNN custom operations are on.\n"
    "E0000 00:00:1795917991.133239   16820 cuda_platform.cc:52] failed call to cuInit\n"
    "2026-01-01 10:00:00.000000: I tensorflow/core/util/port.cc:153] oneDNN\n"
    "To enable the following instructions: AVX2, rebuild TensorFlow.\n"
)


def command(*arguments, **environment):
    """A command in a process of its own, whose stderr must be empty unless it fails."""
    path = os.pathsep.join([str(Path(vlae_tf.__file__).parents[1]), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", "from vlae_tf.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
        | {"PYTHONPATH": path, "COLUMNS": "80"}
        | environment,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], "--install-completion"),
        (["--version"], f"vlae-tf {vlae_tf.__version__}\n"),
        (["zoo", "list"], "cifar10_lossy_7x4_grey\t32x32x3\t1024\t31 px\t4.022 bits/dim\t1061.2\n"),
        (["recipes"], "mnist_static\t2,679,698\t38\t"),
        (["zoo", "info", "mnist_static"], "Likelihood"),
        (["smaple"], "Did you mean 'sample'?"),
        (["train", "mnist_static", "--epocs", "2"], "--epochs"),
        (["sample", "mnist_static", "--out", "x.tga"], "`out` must be a picture"),
        (["evaluate", "mnist_static", "--data-dir", "no/such"], "no/such"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_needs_no_model_is_quick(arguments, words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = command(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert words in done.stdout + done.stderr
    assert done.returncode or done.stderr == ""
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Half a second, on a machine that is free; TensorFlow alone takes five.
    assert seconds < 3 * 0.5


def test_tables_of_a_terminal_have_whole_names_at_80_columns():
    for arguments, names in (
        (["zoo", "list"], vlae_tf.zoo.list()),
        (["recipes"], vlae_tf.runs.Recipe.names()),
    ):
        table = command(*arguments, FORCE_COLOR="1", TERM="dumb").stdout
        lines = table.splitlines()
        assert max(map(len, lines)) <= 80 and set(names) < {
            line.split()[0] for line in lines if line
        }


# Whichever is imported first, a model is in Keras' registry and nothing is printed.
FIRST = """
import sys
for name in sys.argv[1:]:
    __import__(name)
import keras
keras.ops.ones(2)
print(keras.saving.get_registered_object("vlae_tf>VLAE") is not None)
"""


@pytest.mark.slow
@pytest.mark.parametrize("order", [["vlae_tf"], ["vlae_tf.models"]], ids=" ".join)
def test_nothing_is_printed_by_an_import(order):
    env = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    path = os.pathsep.join([str(Path(vlae_tf.__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", FIRST, *order],
        capture_output=True,
        text=True,
        env=env | {"PYTHONPATH": path},
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.slow
def test_models_are_registered_where_keras_came_first():
    assert run_python(FIRST, "keras", "vlae_tf") == "True\n"


def tensorflow(gpus):
    return SimpleNamespace(config=SimpleNamespace(list_physical_devices=lambda kind: gpus))


def test_only_log_lines_are_held_back(capfd):
    with start_up.quiet(tensorflow(gpus=["a GPU"])):
        os.write(2, LOG.encode())
        print("DeprecationWarning: something else", file=sys.stderr)
    assert capfd.readouterr().err == "DeprecationWarning: something else\n"


def test_the_log_of_a_start_that_fails_is_shown(capfd):
    with pytest.raises(ImportError, match="no such symbol"):
        with start_up.quiet(tensorflow(gpus=[])):
            os.write(2, LOG.encode())
            raise ImportError("no such symbol")
    assert capfd.readouterr().err == LOG


def test_the_log_of_a_machine_whose_gpu_is_not_found_is_shown(capfd, monkeypatch):
    monkeypatch.setattr(start_up.pathlib.Path, "glob", lambda *_: iter(["/dev/nvidia0"]))
    with start_up.quiet(tensorflow(gpus=[])):
        os.write(2, LOG.encode())
    assert capfd.readouterr().err == LOG


def test_a_package_runs_in_its_context_once(tmp_path, monkeypatch):
    (tmp_path / "a_package_of_this_test.py").write_text("import sys\nvalue = 'before'\n")
    monkeypatch.syspath_prepend(tmp_path)
    ran = []

    class Context:
        def __init__(self, module):
            self.module = module

        def __enter__(self):
            ran.append(hasattr(self.module, "value"))

        def __exit__(self, *_):
            ran.append(hasattr(self.module, "value"))

    finder = start_up.OnFirstImport({"a_package_of_this_test": Context})
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    import importlib.util

    # To ask for a package is not to import it.
    assert importlib.util.find_spec("a_package_of_this_test") is not None and ran == []
    for _ in range(2):
        assert importlib.import_module("a_package_of_this_test").value == "before"
    assert ran == [False, True]
    monkeypatch.delitem(sys.modules, "a_package_of_this_test")

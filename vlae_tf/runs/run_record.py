import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import time

import keras

from vlae_tf.backend import replicas
from vlae_tf.checks import refuse
from vlae_tf.files import write_text
from vlae_tf.records import epochs_and_seconds, read_run
from vlae_tf.runs.recipe import Recipe

_PACKAGES = ("vlae_tf", "keras", "tensorflow", "jax", "tensorflow-probability", "numpy")


class RunRecord(keras.callbacks.Callback):
    """Keeps `run.json`: with what, on what and for how long a run was trained.

    It has one part for each time the run was started or resumed: command, commit, versions,
    hardware, and the epochs done with their wall times in seconds, without those that a kill undid.

    Args:
        folder: folder of the run.
        command: command line; `sys.argv` unless given.
        initial_weights: path of the weights that the run began with. Where they lie in the folder
            of another run, its epochs and seconds, and those before it, are kept as `earlier`.
        workers: number of machines that train together.
        **facts: further values to keep, such as the number of images.

    Example:
        >>> from vlae_tf.runs import RunRecord
        >>> RunRecord("run", command="vlae-tf train mnist_static --out run").path.name
        'run.json'
    """

    def __init__(self, folder, command=None, initial_weights=None, workers=1, **facts):
        super().__init__()
        self.workers = workers
        self.path = pathlib.Path(folder) / "run.json"
        self.command = command or shlex.join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])
        self.facts = facts
        if initial_weights is not None:
            first = pathlib.Path(initial_weights).with_name("run.json")
            # Resumed, the run need not have at hand what it began with.
            self.facts |= _earlier(read_record(first)) or {
                key: value for key, value in read_record(self.path).items() if key == "earlier"
            }

    def on_train_begin(self, logs=None):
        self._last = time.perf_counter()
        self._part = {
            "command": self.command,
            "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "first_epoch": None,
            "epochs": 0,
            "wall_time_s": 0.0,
            "epochs_s": [],
            "commit": _commit(),
            "backend": keras.backend.backend(),
            "versions": _versions(),
            "hardware": _hardware() | {"replicas": replicas(self.model), "workers": self.workers},
        }
        self._parts = read_record(self.path).get("parts", [])

    def on_epoch_end(self, epoch, logs=None):
        if self._part["first_epoch"] is None:
            self._part["first_epoch"] = epoch
            # An epoch that was recorded and killed before its checkpoint was written is done again.
            self._parts = [_before(epoch, part) for part in self._parts]
        now = time.perf_counter()
        self._part["epochs_s"].append(round(now - self._last, 1))
        self._last = now
        self._part |= _totals(self._part["epochs_s"])
        parts = [*self._parts, self._part]
        record = {
            "parameters": self.model.count_params(),
            **self.facts,
            "epochs": epoch + 1,
            "wall_time_s": round(sum(part["wall_time_s"] for part in parts), 1),
            "parts": parts,
        }
        write_text(self.path, json.dumps(record, indent=2) + "\n")


def read_record(path):
    """What a run.json holds; nothing where there is none."""
    return read_run(path) if path.is_file() else {}


def begun_with(folder, name):
    """The `Recipe` of a run, which must be the one that it began with; `name` is the argument's.

    Raises:
        ValueError: if recipe.json was changed since, in more than where data and first weights lie.
    """
    recipe = Recipe.load(folder / "recipe.json")
    if read_record(folder / "run.json").get("recipe_sha256") not in (None, recipe.fingerprint()):
        received = f"{name}={str(folder)!r}, whose recipe.json was changed since"
        refuse(name, "a run with the recipe.json that it began with", str(folder), received)
    return recipe


def _earlier(record):
    if not record:
        return {}
    epochs, seconds = epochs_and_seconds(record)
    return {"earlier": {"epochs": epochs, "wall_time_s": seconds}}


def _before(epoch, part):
    kept = part.get("epochs_s", [])[: max(epoch - (part["first_epoch"] or 0), 0)]
    return {**part, **_totals(kept), "epochs_s": kept}


def _totals(seconds):
    return {"epochs": len(seconds), "wall_time_s": round(sum(seconds), 1)}


def _commit():
    """The commit of a checkout, "-dirty" if files were changed; None for an installed package."""
    root = pathlib.Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = "git describe --always --dirty --abbrev=40 --exclude=*".split()
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _versions():
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _hardware():
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "devices": keras.distribution.list_devices(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cores():
    """Number of cores that the process may use, where the system says so."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count()


def _cpu():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()

"""Files that are there whole or not at all."""

import contextlib
import hashlib
import json
import os
import warnings

import h5py
import numpy as np

# What metrics say of themselves, beside the likelihoods.
_METRICS = ("weights_sha256", "dataset", "split", "binarisation", "seed", "likelihood")


@contextlib.contextmanager
def whole(path):
    """A name to write to, which becomes `path` once all is written: never half a file."""
    temporary = path.with_name(f"writing-{path.name}")
    try:
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with temporary.open("rb") as file:
        # The data must be on the disk before the name points to them, should the machine stop.
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_text(path, text):
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_between(name, path, begin, end, text):
    """Puts `text` between two marks of a file, the argument `name` of whoever calls.

    Raises:
        ValueError: if the file lacks the marks; it is left as it was.
    """
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(
            f"`{name}` must have the marks {begin} and {end}. Received: {name}={str(path)!r}"
        )
    write_text(path, f"{before}{begin}\n{text}{end}{after}")


def write_array(path, array):
    with whole(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def load_weights(model, path):
    """Loads all of `path` into `model`, whose dtypes it takes, or raises a `ValueError` that says
    what is wrong."""
    if not path.is_file():
        raise ValueError(f"There must be a file of weights. Received: path={str(path)!r}")
    try:
        with warnings.catch_warnings():
            # Keras only warns when the optimiser's part does not fit, and leaves it out.
            warnings.simplefilter("error")
            model.load_weights(path)
        # Nor does it say when the file holds more than the model.
        expected = len(model.weights)
        if (found := _count_arrays(path)) != expected:
            raise ValueError(f"the model has {expected} weights and the file {found}")
    except (OSError, KeyError, ValueError, UserWarning) as error:
        raise ValueError(
            "The file must hold the weights of this very model, whole, written by this version of "
            "vlae_tf (weights of version 0.1 fit where no part has changed). "
            f"Received: path={str(path)!r}, but {error}"
        ) from error


def _count_arrays(path):
    names = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    return sum(not name.startswith(("optimizer/", "vars/seed_state_")) for name in names)


def sha256(path):
    """The sha256 of a file, by which a measurement names the weights it was made with."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_metrics(path):
    """What `vlae-tf evaluate` wrote, or a `ValueError` that names a file which is damaged."""
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        if missing := [key for key in _METRICS if key not in metrics]:
            raise ValueError(f"it lacks {', '.join(missing)}")
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`path` must hold the metrics of a model, as `vlae-tf evaluate` writes them. "
            f"Received: path={str(path)!r}, but {error}"
        ) from error
    return metrics

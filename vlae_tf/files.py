"""Files that are there whole or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import tempfile
import warnings

import numpy as np

# What metrics say of themselves, beside the likelihoods.
_METRICS = ("weights_sha256", "dataset", "split", "binarisation", "seed", "likelihood")


@contextlib.contextmanager
def whole(path):
    """A name to write to, which becomes `path` once all is written: never half a file."""
    temporary = path.with_name(f"writing-{path.name}")
    try:
        yield temporary
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if os.strerror(errno.ENOSPC) in str(error):
            # HDF5 has words of its own for it, and does not name the file.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
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
    what is wrong.

    Before a number is read, the file's arrays are compared with the model's weights, by name and
    shape, and an array whose numbers lie in another file is refused (see `read_arrays`).
    """
    if not path.is_file():
        raise ValueError(f"There must be a file of weights. Received: path={str(path)!r}")
    try:
        found = read_arrays(path)
        with tempfile.TemporaryDirectory() as folder:
            own = pathlib.Path(folder) / "model.weights.h5"
            model.save_weights(own)
            expected = read_arrays(own)
        if names := [name for name in expected if name not in found]:
            raise ValueError(f"it lacks {_first(names)} of the model's weights")
        if names := [name for name in found if name not in expected]:
            raise ValueError(f"it holds {_first(names)} that the model does not have")
        for name, shape in expected.items():
            if found[name] != shape:
                raise ValueError(f"{name} has the shape {found[name]} and not the model's {shape}")
        with warnings.catch_warnings():
            # Keras only warns when the optimiser's part does not fit, and leaves it out.
            warnings.simplefilter("error")
            model.load_weights(path)
    except (OSError, KeyError, ValueError, UserWarning) as error:
        raise ValueError(
            "The file must hold the weights of this very model, whole, written by this version of "
            "vlae_tf (weights of version 0.1 fit where no part has changed). "
            f"Received: path={str(path)!r}, but {error}"
        ) from error


def _first(names):
    rest = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{rest}"


def read_arrays(path):
    """Names and shapes of the arrays of a `.weights.h5` file, as a dict; no number is read.

    Those of an optimiser, and the states of random layers, are left out.

    Raises:
        ValueError: for what a file of weights has no need of: links, numbers that lie in other
            files (external storage, virtual data sets), and arrays of anything but numbers.
        OSError: if the file is damaged.
    """
    import h5py

    shapes = {}

    def look(group):
        for key in group:
            name = f"{group.name}/{key}".lstrip("/")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ValueError(f"{name} is a link, which a file of weights may not have")
            item = group[key]
            if isinstance(item, h5py.Group):
                look(item)
            elif not isinstance(item, h5py.Dataset):
                raise ValueError(f"{name} is neither a group nor an array")
            elif item.external or item.is_virtual:
                raise ValueError(f"the numbers of {name} lie in another file")
            elif item.dtype.kind not in "fiub":
                raise ValueError(f"{name} holds {item.dtype}, not numbers")
            elif not name.startswith(("optimizer/", "vars/seed_state_")):
                shapes[name] = item.shape

    with h5py.File(path) as file:
        look(file)
    return shapes


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


def read_json(path):
    """The object that a JSON file holds, or a `ValueError` that names a file which is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no object with keys")
    except (RecursionError, ValueError) as error:
        raise ValueError(
            f"`path` must be a JSON file. Received: path={str(path)!r}, but {error}"
        ) from error
    return found

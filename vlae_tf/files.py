"""Files that are there whole or not at all, and readers that name a file they cannot read."""

import contextlib
import hashlib
import json
import math
import os
import warnings
import zipfile

import numpy as np

# Deflate makes nothing smaller than this.
LARGEST_RATIO = 1032


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


def write_array(path, array):
    with whole(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


@contextlib.contextmanager
def reading(path, kind):
    """Any error while a file is read becomes a `ValueError` that names it, or the system's
    `OSError`, which names it too.

    Nothing else may be done in its scope: a file may hold anything, and libraries answer what they
    do not expect with errors of every kind.

    Args:
        path: path of the file.
        kind: what the file must be, such as "a NumPy file".
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        what = str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read as {kind}: {what}") from error


def check_ratio(stored, unpacked, what):
    """Raises if the size that a file declares is more than its bytes can stand for."""
    if unpacked > LARGEST_RATIO * (stored + 1):
        raise ValueError(f"{what} would have {unpacked} bytes, of {stored} in the file")


def read_numpy(path):
    """The array of a .npy file, or a dict of those of an .npz file.

    No pickled objects are read. Sizes are compared with the file's before any memory is taken.

    Raises:
        ValueError: names a file that is damaged or of another kind.
        OSError: the file cannot be opened.
    """
    with reading(path, "a NumPy file"), open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            return _read_array(file, file.seek(0, os.SEEK_END), "the array")
        arrays = {}
        with zipfile.ZipFile(file) as archive:
            for item in archive.infolist():
                name = item.filename.removesuffix(".npy")
                check_ratio(item.compress_size, item.file_size, f"the array {name!r}")
                with archive.open(item) as member:
                    arrays[name] = _read_array(member, item.file_size, f"the array {name!r}")
        return arrays


def _read_array(file, size, what):
    file.seek(0)
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"{what} is of version {version}")
    shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError(f"{what} holds Python objects")
    declared, left = math.prod(shape) * dtype.itemsize, size - file.tell()
    if declared != left or min(shape, default=0) < 0:
        raise ValueError(f"{what} has {left} bytes, and its shape {shape} of {dtype} {declared}")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def read_json(path, kind):
    """The JSON object in a file, a dict.

    Args:
        path: path of the file.
        kind: what the file must be, such as "a recipe".

    Raises:
        ValueError: names a file that is damaged or of another kind.
        OSError: the file cannot be opened.
    """
    with reading(path, kind), open(path, encoding="utf-8") as file:
        values = json.load(file)
        if not isinstance(values, dict):
            raise ValueError(f"it must be an object with keys. Received: {values!r:.200}")
        return values


def load_weights(model, path):
    """Loads all of `path` into `model`, whose dtypes it takes, or raises a `ValueError` that says
    what is wrong."""
    if not path.is_file():
        raise ValueError(f"There must be a file of weights. Received: path={str(path)!r}")
    try:
        arrays = _count_arrays(path)
        with warnings.catch_warnings():
            # Keras only warns when the optimiser's part does not fit, and leaves it out.
            warnings.simplefilter("error")
            model.load_weights(path)
        # Nor does it say when the file holds more than the model.
        if arrays != (expected := len(model.weights)):
            raise ValueError(f"the model has {expected} weights and the file {arrays}")
    # A damaged file may raise anything.
    except Exception as error:
        raise ValueError(
            "The file must hold the weights of this very model, whole, written by this version of "
            "vlae_tf (weights of version 0.1 fit where no part has changed). "
            f"Received: path={str(path)!r}, but {error}"
        ) from error


def _count_arrays(path):
    """The number of a model's arrays in a file, none of which is larger than the file says."""
    import h5py

    names = []

    def look(name, item):
        if isinstance(item, h5py.Dataset):
            check_ratio(item.id.get_storage_size(), item.nbytes, f"the array {name!r}")
            names.append(name)

    with h5py.File(path) as file:
        file.visititems(look)
    return sum(not name.startswith(("optimizer/", "vars/seed_state_")) for name in names)


def sha256(path):
    """The sha256 of a file, by which a measurement names the weights it was made with."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

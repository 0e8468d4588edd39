"""Files that are there whole or not at all, and readers that name a file they cannot read."""

import contextlib
import errno
import glob
import hashlib
import itertools
import json
import math
import os
import pathlib
import platform
import tempfile
import zipfile

import numpy as np

PathLike = str | os.PathLike[str]
# Deflate makes nothing smaller than this.
LARGEST_RATIO = 1032


# Temporary names are of one writer: host, process, and number within it.
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_NUMBERS = itertools.count()


@contextlib.contextmanager
def whole(path):
    """A name to write to, which becomes `path` once all is written: never half a file.

    Of two writers of one path, the last one to finish has it. What a killed process of this host
    left is removed. The folder is made if there is none.

    Raises:
        IsADirectoryError: at once, if `path` is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"writing-{_HOST}-*-{glob.escape(path.name)}"):
        writer = left.name.split("-")[2]
        if writer.isdigit() and not _runs(int(writer)):
            left.unlink(missing_ok=True)
    name = f"writing-{_HOST}-{os.getpid()}-{next(_NUMBERS)}-{path.name}"
    temporary = path.with_name(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            # The data must be on the disk before the name points to them, should the machine stop.
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if os.strerror(errno.ENOSPC) in str(error):
            # HDF5 has words of its own for it, and does not name the file.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def save_figure(figure, path):
    """Writes a figure of matplotlib in the format of the suffix, PNG without one: whole, or not at
    all, as `whole`."""
    path = pathlib.Path(path)
    with whole(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower() or "png")


def _runs(process):
    """Whether there is such a process on this host; True where that cannot be asked."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


@contextlib.contextmanager
def locked(folder):
    """Within, or until the process ends, the folder is locked; gives whether nobody else had it.

    Where there are no such locks, on Windows and some file systems, nobody is taken to have it.
    """
    if os.name == "nt":
        yield True
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        alone = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = False
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        yield alone
    finally:
        os.close(descriptor)


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


def read_json(path, kind="JSON"):
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


def load_weights(model, path, optimizer=False):
    """Loads all of `path` into `model`, whose dtypes it takes, or raises a `ValueError` that says
    what is wrong.

    Before a number is read, the file's arrays are compared with the model's weights, by name and
    shape, and an array whose numbers lie in another file is refused (see `read_arrays`); the
    optimiser's too if `optimizer`, as for a run that goes on.
    """
    if not path.is_file():
        raise ValueError(f"There must be a file of weights. Received: path={str(path)!r}")
    try:
        found = read_arrays(path, optimizer)
        with tempfile.TemporaryDirectory() as folder:
            own = pathlib.Path(folder) / "model.weights.h5"
            model.save_weights(own)
            expected = read_arrays(own, optimizer)
        if names := [name for name in expected if name not in found]:
            raise ValueError(f"it lacks {_first(names)} of the model's weights")
        if names := [name for name in found if name not in expected]:
            raise ValueError(f"it holds {_first(names)} that the model does not have")
        for name, shape in expected.items():
            if found[name] != shape:
                raise ValueError(f"{name} has the shape {found[name]} and not the model's {shape}")
        # Keras would only warn of what does not fit, and leave it out. Warnings are not made errors
        # here: filters are the whole process's, and other threads warn too.
        model.load_weights(path)
    # A damaged file may raise anything.
    except Exception as error:
        raise ValueError(
            "The file must hold the weights of this very model, whole, written by this version of "
            "vlae_tf (weights of version 0.1 fit where no part has changed). "
            f"Received: path={str(path)!r}, but {error}"
        ) from error


def _first(names):
    rest = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{rest}"


def read_arrays(path, optimizer=False):
    """Names and shapes of the arrays of a `.weights.h5` file, as a dict; no number is read.

    The states of random layers are left out, and without `optimizer` what an optimiser has.

    Raises:
        ValueError: for what a file of weights has no need of: links, numbers that lie in other
            files (external storage, virtual data sets), and arrays of anything but numbers.
        OSError: if the file is damaged.
    """
    import h5py

    shapes = {}
    left_out = ("vars/seed_state_",) if optimizer else ("vars/seed_state_", "optimizer/")

    def look(group):
        for key in group:
            name = f"{group.name}/{key}".lstrip("/")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ValueError(f"{name} is a link, which a file of weights may not have")
            item = group[key]
            if isinstance(item, h5py.Group):
                look(item)
                continue
            if not isinstance(item, h5py.Dataset):
                raise ValueError(f"{name} is neither a group nor an array")
            if item.external or item.is_virtual:
                raise ValueError(f"the numbers of {name} lie in another file")
            if item.dtype.kind not in "fiub":
                raise ValueError(f"{name} holds {item.dtype}, not numbers")
            check_ratio(item.id.get_storage_size(), item.nbytes, f"the array {name!r}")
            if not name.startswith(left_out):
                shapes[name] = item.shape

    with h5py.File(path) as file:
        look(file)
    return shapes


def sha256(path):
    """The sha256 of a file, by which a measurement names the weights it was made with."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

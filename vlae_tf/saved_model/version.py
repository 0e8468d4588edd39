"""Folders of versions: each one whole, or not there."""

import contextlib
import os
import shutil
import time
import uuid

from vlae_tf.checks import check_integer
from vlae_tf.files import locked

_HIDDEN = ".writing-"
# Seconds after which an export has locked its folder.
_BEGINNING = 60


def write_version(folder, version, write):
    """Adds a version to `folder`: `write(path)` writes it under a hidden name, then it is renamed.

    Args:
        folder: `pathlib.Path`, made if it is not there.
        version: number of the version, or None for one more than the highest.
        write: function that writes the version to the path that it is given.

    Returns:
        The path of the version's folder.

    Raises:
        ValueError: if `version` is not a positive integer.
        FileExistsError: if `version` is there already.
        NotADirectoryError: if `folder` is a file.
        OSError: if the folder cannot be written to. Nothing is left then, not even folders made on
            the way.
    """
    import tensorflow as tf

    _check_version(folder, version)
    # A server takes only numbers for versions: this name hides the folder if the process is killed.
    temporary = folder / f"{_HIDDEN}{uuid.uuid4().hex}"
    missing = []
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        temporary.mkdir(parents=True)
        _clear(folder)
        with locked(temporary):
            write(temporary)
            return _rename(temporary, folder, version)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
        if isinstance(error, FileExistsError) or not isinstance(
            error, (OSError, tf.errors.OpError)
        ):
            raise
        raise OSError(
            "`filepath` must be a folder that can be written to, with room for the model; nothing "
            f"was left there. Received: filepath={str(folder)!r}, which failed with: {error}"
        ) from error


def _clear(folder):
    """Takes away what an export that was killed has left behind."""
    for path in folder.glob(f"{_HIDDEN}*"):
        with contextlib.suppress(OSError):
            # One that has just begun may not have locked its folder yet.
            old = time.time() - path.stat().st_mtime > _BEGINNING
            with locked(path) as dead:
                if dead and old:
                    shutil.rmtree(path)


def _check_version(folder, version):
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            f"`filepath` must be a folder. Received: filepath={str(folder)!r}, a file"
        )
    if version is None:
        return
    if os.path.lexists(folder / str(check_integer(version, "version", least=1))):
        raise FileExistsError(
            f"`version` must be one that {str(folder)!r} does not hold yet: leave it out for "
            f"{_next_free(folder)}. Received: version={version}"
        )


def _rename(temporary, folder, version):
    while True:
        target = folder / str(version or _next_free(folder))
        try:
            return temporary.rename(target)
        except OSError:
            # Another export may have taken the number meanwhile: only an empty folder is replaced.
            if not os.path.lexists(target):
                raise
            _check_version(folder, version)


def versions(folder):
    """`{version: path}` of what `folder` holds under numbers, of 63 bits as in the protocol."""
    paths = [path for path in folder.iterdir() if path.name.isascii() and path.name.isdecimal()]
    return {int(path.name): path for path in paths if len(path.name) < 19}


def _next_free(folder):
    # After the highest, not in a gap: a server takes the highest for the newest.
    return 1 + max(versions(folder), default=0)

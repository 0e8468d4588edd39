import hashlib
import pathlib

import keras
import numpy as np
from keras import ops

from vlae_tf.files import read_numpy, write_array


class PartialResults:
    """Results of a long evaluation that outlive the process: arrays by fingerprint, a file each.

    Evaluations that share a path do not touch each other's files. A file is replaced in one move:
    whenever the process is killed, a whole file is there.

    Args:
        path: path of the `.npy` files, to whose stem the fingerprint is added; the files need not
            exist. None keeps the results in memory only.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.models import PartialResults
        >>> PartialResults("partial.npy").save("0123abcd", np.ones((2, 3)))
        >>> partial = PartialResults("partial.npy")
        >>> partial.rows("0123abcd").shape
        (2, 3)
        >>> partial.remove()
    """

    def __init__(self, path=None):
        self.path = None if path is None else pathlib.Path(path)
        self._arrays = {}

    def rows(self, fingerprint):
        """The array saved under a fingerprint, or None.

        Raises:
            ValueError: if its file holds something else.
        """
        file = self._file(fingerprint)
        if fingerprint not in self._arrays and file is not None and file.exists():
            try:
                self._arrays[fingerprint] = read_numpy(file)
            except (OSError, ValueError) as error:
                raise ValueError(
                    "`path` must hold the partial results of an evaluation, or nothing. "
                    f"Received: path={str(file)!r}: {error}"
                ) from error
        return self._arrays.get(fingerprint)

    def save(self, fingerprint, rows):
        """Keeps `rows` under a fingerprint; replaces what was there."""
        self._arrays[fingerprint] = rows
        if self.path is not None:
            write_array(self._file(fingerprint), rows)

    def remove(self):
        """Deletes every array that was read or saved here, once the results are safe elsewhere."""
        while self._arrays:
            fingerprint, _ = self._arrays.popitem()
            if self.path is not None:
                self._file(fingerprint).unlink(missing_ok=True)

    def _file(self, fingerprint):
        if self.path is None:
            return None
        return self.path.with_name(f"{self.path.stem}-{fingerprint[:16]}{self.path.suffix}")


def fingerprint(model, *arguments):
    """The sha256 of everything that decides a result: weights, precision, arrays, numbers."""
    digest = hashlib.sha256(f"{keras.backend.backend()} {model.dtype_policy.name}".encode())
    for value in [*model.weights, *arguments]:
        value = np.ascontiguousarray(ops.convert_to_numpy(value))
        digest.update(f"{value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()

import hashlib
import pathlib
import zipfile

import keras
import numpy as np
from keras import ops

from vlae_tf.training.files import whole


class PartialResults:
    """Results of a long evaluation that outlive the process: arrays by fingerprint, in one file.

    The file is replaced in one move: whenever the process is killed, a whole one is there.

    Args:
        path: of the `.npz` file; it need not exist. None keeps the results in memory alone.

    Raises:
        ValueError: if the file is there and holds something else.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.evaluation import PartialResults
        >>> PartialResults("partial.npz").save("a fingerprint", np.ones((2, 3)))
        >>> partial = PartialResults("partial.npz")
        >>> partial.rows("a fingerprint").shape
        (2, 3)
        >>> partial.remove()
    """

    def __init__(self, path=None):
        self.path = None if path is None else pathlib.Path(path)
        self._arrays = {}
        if self.path is not None and self.path.exists():
            try:
                with self.path.open("rb") as file, np.load(file) as arrays:
                    self._arrays = dict(arrays)
            except (EOFError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
                raise ValueError(
                    "`path` must hold the partial results of an evaluation, or nothing. "
                    f"Received: path={str(path)!r}: {error}"
                ) from error

    def rows(self, fingerprint):
        """What was saved under a fingerprint, or None."""
        return self._arrays.get(fingerprint)

    def save(self, fingerprint, rows):
        """Keeps `rows` under a fingerprint, in the place of what was there."""
        self._arrays[fingerprint] = rows
        if self.path is not None:
            with whole(self.path) as temporary, temporary.open("wb") as file:
                np.savez(file, **self._arrays)

    def remove(self):
        """Forgets everything, once the figures are safe elsewhere."""
        self._arrays = {}
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def fingerprint(model, *arguments):
    """A sha256 of everything that decides a result: weights, precision, and arrays or numbers."""
    digest = hashlib.sha256(f"{keras.backend.backend()} {model.dtype_policy.name}".encode())
    for value in [*model.weights, *arguments]:
        value = np.ascontiguousarray(ops.convert_to_numpy(value))
        digest.update(f"{value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()

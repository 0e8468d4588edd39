import contextlib
import pathlib

import numpy as np

from vlae_tf.checks import refuse
from vlae_tf.coding.coder import Coder, pixels_crc
from vlae_tf.coding.container import ContainerWriter
from vlae_tf.coding.header import MAGIC
from vlae_tf.files import whole


class ImageWriter:
    """Writes images to a `.vlae` file, as many as there are, with the memory of a few blocks.

    As many blocks are coded side by side as there are processors, up to 8.

    Use it as a context: the file has its name once all is written, and there is none after an error
    or a kill.

    Args:
        path: path of the file. A .vlae file that is there is replaced, and no other one.
        coder: `Coder`.

    Raises:
        ValueError: for invalid images, or a file at `path` that is no .vlae file.

    Example:
        >>> import vlae_tf
        >>> from vlae_tf.coding import Coder, ImageReader, ImageWriter
        >>> coder = Coder("mnist_ladder", codebook_bits=4, candidates=2)
        >>> with ImageWriter("digits.vlae", coder) as writer:
        ...     writer.write(vlae_tf.zoo.examples("mnist_ladder")[:2])
        >>> with ImageReader("digits.vlae") as reader:
        ...     len(reader), reader[1].shape
        (2, (28, 28, 1))
    """

    def __init__(self, path, coder):
        if not isinstance(coder, Coder):
            refuse("coder", "a `Coder`, such as Coder('mnist_static')", coder)
        self.path = pathlib.Path(path).absolute()
        check_replaced(self.path, "path")
        self.coder = coder
        self._container = None

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(whole(self.path))
            self._file = stack.enter_context(temporary.open("wb"))
            self._container = ContainerWriter(self._file, self.coder.header)
            self._waiting = np.zeros((0, *self.coder.header.image_shape), "uint8")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind, error, traceback):
        with contextlib.ExitStack() as stack:
            stack.push(self._stack)
            container, self._container = self._container, None
            if kind is None:
                self._write_waiting(container)
                container.finish()
            return self._stack.__exit__(kind, error, traceback) if kind else None

    def write(self, images):
        """Writes images, `(n, height, width, channels)`."""
        if self._container is None:
            raise ValueError("Images are written within `with ImageWriter(...) as writer`.")
        self._waiting = np.concatenate([self._waiting, self.coder.checked(images)])
        if len(self._waiting) >= self.coder.workers * self.coder.header.block_size:
            self._write_waiting(self._container, whole_only=True)

    def _write_waiting(self, container, whole_only=False):
        size = self.coder.header.block_size
        end = len(self._waiting) - (len(self._waiting) % size if whole_only else 0)
        blocks = [self._waiting[at : at + size] for at in range(0, end, size)]
        write_blocks(container, self.coder, blocks)
        self._waiting = self._waiting[end:]


def check_replaced(path, name):
    """Raises if a file would be replaced that is no .vlae file; `name` is the argument's."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                expected = "a new file, or a .vlae file to be replaced"
                refuse(name, expected, str(path), f"{name}={str(path)!r}, another file")


def write_blocks(container, coder, blocks):
    """Codes blocks of images, some of them side by side, and writes them to a `ContainerWriter`."""
    for start in range(0, len(blocks), coder.workers):
        part = blocks[start : start + coder.workers]
        for images, payload in zip(part, coder.encode_blocks(part), strict=True):
            crc = 0 if coder.header.method == "lossy" else pixels_crc(images)
            container.write(payload, len(images), crc)

import io
import pathlib

import numpy as np

from vlae_tf.checks import check_integer, refuse
from vlae_tf.coding.coder import Coder, pixels_crc
from vlae_tf.coding.container import ContainerReader


class ImageReader:
    """Reads images of a `.vlae` file: all, batch by batch, or single ones.

    A context, which closes the file. Sizes and CRCs are checked before anything is decoded, and the
    pixels after.

    Args:
        source: path of the file, or its bytes.
        entry: name or folder of the entry that it was made with, or a `Coder` of it; by default the
            zoo's entry whose name is in the file.
        batch_size: number of images that are decoded at once, if they are in blocks of less; so
            many for each processor, up to 8.

    Attributes:
        header: `Header`, what the file says of itself.

    Raises:
        ValueError: names the file, and says what is wrong: it is damaged, of another version, or
            made with other weights.
        OSError: the file cannot be opened.

    Example:
        >>> import vlae_tf
        >>> from vlae_tf.coding import ImageReader, compress
        >>> images = vlae_tf.zoo.examples("mnist_ladder")[:3]
        >>> data = compress(images, "mnist_ladder", codebook_bits=4, candidates=2)
        >>> with ImageReader(data) as reader:
        ...     [len(batch) for batch in reader.batches()]
        [3]
    """

    def __init__(self, source, entry=None, batch_size=128):
        given = isinstance(source, (bytes, bytearray, memoryview))
        self._name = "the bytes" if given else str(pathlib.Path(source))
        self._batch_size = check_integer(batch_size, "batch_size", least=1)
        self._file = io.BytesIO(source) if given else open(source, "rb")
        self._coder = self._kept = None
        self._entry = entry
        try:
            self._container = self._said(ContainerReader, self._file)
        except BaseException:
            self._file.close()
            raise
        self.header = self._container.header

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def __len__(self):
        return self._container.images

    def __getitem__(self, index):
        """The image with this number, uint8 `(height, width, channels)`; its block is decoded."""
        count = len(self)
        if not isinstance(index, (int, np.integer)) or isinstance(index, bool):
            refuse("index", "an integer", index)
        if not -count <= index < count:
            raise IndexError(f"`index` must be one of {count} images. Received: index={index}")
        block, place = divmod(int(index) % count, self.header.block_size)
        if self._kept is None or self._kept[0] != block:
            self._kept = block, self._decoded([block])
        return self._kept[1][place]

    def batches(self):
        """All images in order, in arrays uint8 `(n, height, width, channels)`."""
        together = Coder.workers * max(1, self._batch_size // self.header.block_size)
        for start in range(0, self._container.blocks, together):
            yield self._decoded(range(start, min(start + together, self._container.blocks)))

    def _decoded(self, blocks):
        payloads = [self._said(self._container.read, block) for block in blocks]
        if self._coder is None:
            self._coder = self._said(Coder.of_header, self.header, self._entry)
        counts = [self._container.count(block) for block in blocks]
        images = self._said(self._coder.decode, payloads, counts)
        if self.header.method != "lossy":
            parts = np.split(images, np.cumsum(counts)[:-1])
            for block, part in zip(blocks, parts, strict=True):
                if pixels_crc(part) != self._container.pixels_crc(block):
                    raise ValueError(
                        f"{self._name} cannot be read as a .vlae file: the images of block {block} "
                        "came out other than they went in (CRC)"
                    )
        return images

    def _said(self, function, *arguments):
        """What the function gives; its `ValueError` names the file."""
        try:
            return function(*arguments)
        except ValueError as error:
            raise ValueError(f"{self._name} cannot be read as a .vlae file: {error}") from error

"""Blocks of bytes in a file, between a header and an index: see docs/coding.md."""

import os
import struct
import zlib

from vlae_tf.coding.header import Header

# Of a block: bytes, CRC of them, CRC of the pixels.
_ENTRY = struct.Struct("<III")
# Number of images, of blocks, and the CRC of the index and these two.
_TRAILER = struct.Struct("<QI")
_END = struct.Struct("<I4s")
_LAST = b"ELAV"


class ContainerWriter:
    """Writes a header, blocks and their index to a file.

    Args:
        file: binary file to write to; it need not be able to seek.
        header: `Header`.

    Example:
        >>> import io
        >>> from vlae_tf.coding.container import ContainerReader, ContainerWriter
        >>> from vlae_tf.coding.header import Header
        >>> header = Header("mnist_static", "0" * 64, (28, 28, 1), 2, "codebook", 12, 0, 128)
        >>> file = io.BytesIO()
        >>> writer = ContainerWriter(file, header)
        >>> writer.write(b"payload", 7, pixels_crc=0)
        >>> writer.finish()
        >>> ContainerReader(file).read(0)
        b'payload'
    """

    def __init__(self, file, header):
        self._file = file
        self._index = []
        self._count = 0
        file.write(header.to_bytes())

    def write(self, payload, images, pixels_crc):
        """Writes a block of so many images."""
        self._file.write(payload)
        self._index.append(_ENTRY.pack(len(payload), zlib.crc32(payload), pixels_crc))
        self._count += images

    def finish(self):
        """Writes the index; without it the file is none."""
        index = b"".join(self._index) + _TRAILER.pack(self._count, len(self._index))
        self._file.write(index + _END.pack(zlib.crc32(index), _LAST))


class ContainerReader:
    """Reads the header, the index and single blocks of a file. All sizes are compared with that of
    the file before memory is taken.

    Args:
        file: binary file that can seek.

    Raises:
        ValueError: says what is wrong with the file.
    """

    def __init__(self, file):
        self._file = file
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.header, start = Header.from_bytes(file.read(Header.largest()))
        tail = _TRAILER.size + _END.size
        if size < start + tail:
            raise ValueError("it is cut off")
        file.seek(size - tail)
        trailer = file.read(tail)
        self.images, blocks = _TRAILER.unpack_from(trailer)
        crc, last = _END.unpack_from(trailer, _TRAILER.size)
        if last != _LAST or blocks * _ENTRY.size > size - start - tail:
            raise ValueError("it is cut off, or its end is damaged")
        file.seek(size - tail - blocks * _ENTRY.size)
        index = file.read(blocks * _ENTRY.size)
        if zlib.crc32(index + trailer[: _TRAILER.size]) != crc:
            raise ValueError("its index is damaged")
        if blocks != -(-self.images // self.header.block_size):
            raise ValueError(f"it has {blocks} blocks, which are not those of {self.images} images")
        self._entries = list(_ENTRY.iter_unpack(index))
        if start + sum(entry[0] for entry in self._entries) != size - tail - len(index):
            raise ValueError("its blocks have not the lengths of its index")
        self._starts = [start]
        for length, _, _ in self._entries:
            self._starts.append(self._starts[-1] + length)

    @property
    def blocks(self):
        """The number of blocks."""
        return len(self._entries)

    def count(self, block):
        """The number of images of a block."""
        size = self.header.block_size
        return min(size, self.images - block * size)

    def pixels_crc(self, block):
        """The CRC32 of a block's pixels."""
        return self._entries[block][2]

    def read(self, block):
        """The bytes of a block, or a `ValueError` if they are damaged."""
        length, crc, _ = self._entries[block]
        self._file.seek(self._starts[block])
        payload = self._file.read(length)
        if len(payload) != length or zlib.crc32(payload) != crc:
            raise ValueError(f"its block {block} is damaged")
        return payload

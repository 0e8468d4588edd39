import dataclasses
import re
import struct
import zlib

from vlae_tf.checks import refuse

MAGIC = b"VLAE\r\n\x1a\n"
VERSION = 1
METHODS = ("codebook", "bits-back", "lossy")
LARGEST_BOOK = 32
LARGEST_BLOCK = 4096
_FIXED = struct.Struct("<8sHBBBBQIHHHH32s")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CRC = struct.Struct("<I")


@dataclasses.dataclass(frozen=True)
class Header:
    """The first bytes of a `.vlae` file: what it was made with. See docs/coding.md.

    Args:
        entry: name of the entry.
        weights: sha256 of the entry's weights, 64 hexadecimal digits.
        image_shape: `(height, width, channels)`.
        levels: number of values of a channel.
        method: "codebook", "bits-back" or "lossy".
        codebook_bits: logarithm of the number of codes in the book, 0 for bits-back.
        seed: seed of the book.
        block_size: number of images of each block but the last.

    Example:
        >>> from vlae_tf.coding.header import Header
        >>> header = Header("mnist_static", "0" * 64, (28, 28, 1), 2, "codebook", 12, 0, 128)
        >>> Header.from_bytes(header.to_bytes())[0] == header
        True
    """

    entry: str
    weights: str
    image_shape: tuple
    levels: int
    method: str
    codebook_bits: int
    seed: int
    block_size: int

    def __post_init__(self):
        if not _NAME.fullmatch(self.entry):
            refuse("entry", "a name of letters, digits, '.', '_' and '-'", self.entry)

    def to_bytes(self):
        name = self.entry.encode("ascii")
        fixed = _FIXED.pack(
            MAGIC,
            VERSION,
            METHODS.index(self.method),
            self.codebook_bits,
            len(name),
            0,
            self.seed,
            self.block_size,
            self.levels,
            *self.image_shape,
            bytes.fromhex(self.weights),
        )
        return fixed + name + _CRC.pack(zlib.crc32(fixed + name))

    @classmethod
    def from_bytes(cls, data):
        """The header at the start of `data`, and its length.

        Raises:
            ValueError: says what is wrong.
        """
        if len(data) < _FIXED.size or not data.startswith(MAGIC):
            raise ValueError("it does not begin as a .vlae file")
        _, version, method, bits, size, _, seed, block, levels, *shape, weights = (
            _FIXED.unpack_from(data)
        )
        if version != VERSION:
            raise ValueError(f"it is of version {version}, and this vlae_tf reads {VERSION}")
        end = _FIXED.size + size
        if len(data) < end + _CRC.size or _CRC.unpack_from(data, end)[0] != zlib.crc32(data[:end]):
            raise ValueError("its header is damaged")
        name = data[_FIXED.size : end].decode("ascii", "replace")
        known = method < len(METHODS) and _NAME.fullmatch(name) and 1 <= block <= LARGEST_BLOCK
        if not known or bits > LARGEST_BOOK or not 2 <= levels <= 256 or 0 in shape:
            raise ValueError("its header has values that no vlae_tf writes")
        header = cls(name, weights.hex(), tuple(shape), levels, METHODS[method], bits, seed, block)
        return header, end + _CRC.size

    @staticmethod
    def largest():
        """No header is longer than this."""
        return _FIXED.size + 255 + _CRC.size

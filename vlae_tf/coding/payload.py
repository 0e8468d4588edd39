"""What a block's bytes are: numbers that another machine may round otherwise, and words."""

import numpy as np

from vlae_tf.coding.rounding import Ties

_TIE = 12


def joined(parts, words):
    """Bytes of a list of `Ties` and of the coder's words."""
    data = b""
    for ties in parts:
        item = ties.to_bytes()
        data += varint(len(item) // _TIE) + item
    return data + words


def parted(data, count):
    """The `Ties`, so many, and the words of a payload: what `joined` joined."""
    parts = []
    for _ in range(count):
        size, data = read_varint(data)
        if size * _TIE > len(data):
            raise ValueError("a block is too short for what it says it holds")
        parts.append(Ties.from_bytes(data[: size * _TIE]))
        data = data[size * _TIE :]
    return parts, data


def to_words(data):
    """Bytes as the words of a coder, uint32; zeros were left out at the end."""
    padded = data + bytes(-len(data) % 4)
    return np.frombuffer(padded, ">u4").astype("uint32")


def to_bytes(words):
    """The words of a coder as bytes, the highest first, without zeros at the end."""
    return words.astype(">u4").tobytes().rstrip(b"\0")


def varint(value):
    """A number as bytes, 7 bits each."""
    value = int(value)
    data = bytearray()
    while value >= 128:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def read_varint(data):
    """The number that `varint` wrote at the start of `data`, and the rest."""
    value = 0
    for place, byte in enumerate(data[:5]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, data[place + 1 :]
    raise ValueError("a block holds no number where one should be")

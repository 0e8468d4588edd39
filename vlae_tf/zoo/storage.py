"""Weights files of half the size."""

import pathlib
import tempfile
import zlib

import h5py
import numpy as np

from vlae_tf.files import read_arrays, whole
from vlae_tf.layers import KernelLayer

# Bytes from which on an array is compressed.
_COMPRESSED = 4096
# Memory levels and strategies of zlib that are tried: the lower bytes of weights are noise, where
# what repeats costs more than it saves.
_STRATEGIES = ((8, zlib.Z_DEFAULT_STRATEGY), (6, zlib.Z_HUFFMAN_ONLY), (9, zlib.Z_RLE))


def pack_weights(model, path):
    """Rewrite a model's weights file with float16, and zeros for what masks multiply away.

    Training leaves noise there, which no archive makes smaller. The model itself gets the zeros,
    and its outputs stay as they were. The rest of the file, such as the states of random layers, is
    left alone.

    Args:
        model: the model with these weights.
        path: path of its `.weights.h5` file.

    Raises:
        ValueError: as `store_as_float16`; the zeros are then in the file.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, KernelLayer):
            layer.zero_masked()
    with tempfile.TemporaryDirectory() as folder:
        own = pathlib.Path(folder) / "model.weights.h5"
        model.save_weights(own)
        with h5py.File(own) as zeroed, h5py.File(path, "r+") as file:
            for name in read_arrays(own):
                file[name][...] = zeroed[name][()]
    store_as_float16(path)


def store_as_float16(path):
    """Rewrite a Keras weights file with every float32 array as float16.

    Integers, such as the states of random layers, stay as they are. The file is replaced in one
    move; the same weights give the same bytes. A large array is compressed, in a way that any HDF5
    reads: the upper bytes of all numbers come before the lower ones (the shuffle filter), and the
    deflate filter's bytes are the shortest of those that some strategies of zlib make.

    Args:
        path: path of a `.weights.h5` file.

    Returns:
        The largest change, relative to the largest number of its array; 0.0 for a file that had no
        float32 arrays.

    Raises:
        ValueError: names the array with a number that float16 does not have: NaN, infinity, or one
            beyond 65504. The file is left as it was.

    Example:
        >>> import h5py, numpy as np, pathlib
        >>> from vlae_tf.zoo.storage import store_as_float16
        >>> path = pathlib.Path("model.weights.h5")
        >>> with h5py.File(path, "w") as file:
        ...     file["encoder/vars/0"] = np.array([0.5, 0.1], "float32")
        >>> store_as_float16(path) < 2**-11
        True
    """
    largest = 0.0

    def copy(name, item):
        nonlocal largest
        if isinstance(item, h5py.Group):
            copied = target.require_group(name)
        else:
            values = item[()]
            if item.dtype == np.float32:
                values, change = _float16(name, values)
                largest = max(largest, change)
            copied = _write(target, name, values)
        copied.attrs.update(item.attrs)

    # In HDF5's newer layouts, groups would hold the time: no two files would be the same.
    with whole(path) as temporary, h5py.File(path) as source, h5py.File(temporary, "w") as target:
        source.visititems(copy)
    return largest


def _write(file, name, values):
    """A new data set, in one compressed chunk if it is large."""
    if values.nbytes < _COMPRESSED:
        return file.create_dataset(name, data=values)
    filters = {"chunks": values.shape, "shuffle": True, "compression": "gzip"}
    made = file.create_dataset(name, values.shape, values.dtype, **filters)
    shuffled = np.frombuffer(values.tobytes(), "uint8").reshape(-1, values.itemsize).T.tobytes()
    chunks = (_deflated(shuffled, *strategy) for strategy in _STRATEGIES)
    made.id.write_direct_chunk((0,) * values.ndim, min(chunks, key=len))
    return made


def _deflated(data, memory, strategy):
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, memory, strategy)
    return packer.compress(data) + packer.flush()


def _float16(name, values):
    """`values` as float16, and their largest change relative to the largest of them."""
    most = np.abs(values).max(initial=0.0)
    if not most <= np.finfo("float16").max:
        raise ValueError(
            f"`path` must hold weights that float16 has, finite and at most 65504. Received: {name}"
            f" with {most}"
        )
    stored = values.astype("float16")
    change = np.abs(stored.astype("float32") - values).max(initial=0.0)
    return stored, float(change / most) if most else 0.0

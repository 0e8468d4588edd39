"""Arrays of images in files, by the library of each format."""

import gzip
import math
import os

import numpy as np

from vlae_tf.checks import check_installed
from vlae_tf.files import check_ratio, read_numpy, reading
from vlae_tf.pictures.picture import read_picture

# The numbers by which IDX files name their types.
_IDX = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_HDF5 = (".h5", ".hdf5", ".hdf")
ARRAYS = (".npy", ".npz", ".idx", ".idx.gz", "-ubyte", "-ubyte.gz", ".mat", *_HDF5, ".parquet")


def is_array_file(path):
    """Whether `read_array_file` reads files of this name."""
    return path.name.lower().endswith(ARRAYS)


def read_array_file(path, image_shape=None):
    """The arrays of a file by name; a single array without a name has the name "".

    `.npy` and `.npz` are read by NumPy, `.mat` by SciPy, `.h5` by h5py, `.parquet` by pyarrow; IDX
    files are those of MNIST (`train-images-idx3-ubyte.gz`). Sizes are compared with the file's
    before memory is taken.

    Args:
        path: `pathlib.Path` of the file.
        image_shape: shape to which the pictures of a parquet file are brought, if any.

    Raises:
        ValueError: names a file that is damaged or of another kind.
        OSError: the file cannot be opened.
    """
    name = path.name.lower()
    if name.endswith((".npy", ".npz")):
        arrays = read_numpy(path)
    elif name.endswith(".mat"):
        arrays = _read_mat(path)
    elif name.endswith(_HDF5):
        arrays = _read_hdf5(path)
    elif name.endswith(".parquet"):
        arrays = _read_parquet(path, image_shape)
    else:
        arrays = _read_idx(path)
    return arrays if isinstance(arrays, dict) else {"": arrays}


def _read_idx(path):
    packed = path.name.lower().endswith(".gz")
    with reading(path, "an IDX file"), (gzip.open if packed else open)(path, "rb") as file:
        zeros, kind, axes = np.frombuffer(file.read(4), ">u2,u1,u1")[0].item()
        if zeros or kind not in _IDX:
            raise ValueError("it does not begin as one")
        shape = np.frombuffer(file.read(4 * axes), ">u4").tolist()
        dtype = np.dtype(_IDX[kind])
        declared = math.prod(shape) * dtype.itemsize
        check_ratio(os.path.getsize(path), declared, "its array")
        values = np.frombuffer(file.read(declared + 1), dtype)
        return values.reshape(shape).astype(dtype.newbyteorder("="))


def _read_mat(path):
    import scipy.io

    with reading(path, "a .mat file (of MATLAB's version 7 or older)"), open(path, "rb") as file:
        for name, shape, _ in scipy.io.whosmat(file):
            check_ratio(os.path.getsize(path), math.prod(shape), f"the array {name!r}")
        arrays = scipy.io.loadmat(file)
    return {name: x for name, x in arrays.items() if isinstance(x, np.ndarray) and x.dtype != "O"}


def _read_hdf5(path):
    import h5py

    arrays = {}

    def read(name, item):
        if isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind in "buif":
            if item.external or item.is_virtual:
                raise ValueError(f"its array {name!r} lies in other files")
            check_ratio(item.id.get_storage_size(), item.nbytes, f"the array {name!r}")
            arrays[name] = item[()]

    with reading(path, "an HDF5 file"), h5py.File(path) as file:
        file.visititems(read)
    return arrays


def _read_parquet(path, image_shape):
    """Pictures in a column "image", as bytes or as {"bytes": ...}, and classes in "label"."""
    check_installed("pyarrow", "parquet", "A parquet file")
    import pyarrow.parquet as pq

    with reading(path, "a parquet file"), pq.ParquetFile(path) as file:
        if "image" not in file.schema_arrow.names:
            raise ValueError(f"it has no column 'image', but {', '.join(file.schema_arrow.names)}")
        columns = [name for name in ("image", "label") if name in file.schema_arrow.names]
        images, labels = [], []
        for batch in file.iter_batches(64, columns=columns):
            rows = batch.to_pydict()
            labels += rows.get("label", [])
            for value in rows["image"]:
                data = value["bytes"] if isinstance(value, dict) else value
                name = f"{path}, row {len(images)}"
                if not isinstance(data, bytes):
                    raise ValueError(f"row {len(images)} of its column 'image' holds no picture")
                images.append(read_picture(data, image_shape, name))
    return {"": stacked(images, [f"row {row}" for row in range(len(images))], path)} | (
        {"label": np.array(labels)} if labels else {}
    )


def stacked(images, names, where):
    """Pictures as one array, if they have one shape."""
    for name, image in zip(names, images, strict=True):
        if image.shape != images[0].shape:
            raise ValueError(
                f"The pictures of {where} must have one shape; give `image_shape` to resize them. "
                f"Received: {names[0]} of shape {images[0].shape}, {name} of shape {image.shape}"
            )
    return np.stack(images) if images else np.zeros((0, 1, 1, 1), "uint8")

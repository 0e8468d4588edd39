"""A user's own images, from an array, a file or a folder of pictures."""

import os
import zipfile
from pathlib import Path

import numpy as np

from vlae_tf.checks import check_array
from vlae_tf.datasets.registry import DATASETS

PARTS = ("train", "validation", "test")
PICTURES = (".png", ".jpg", ".jpeg")


def own_images(source, split="train", image_shape=None) -> np.ndarray:
    """Own images as one uint8 array (n, height, width, channels).

    Args:
        source: one of
            an array (n, height, width, channels);
            a `.npy` file with such an array;
            a `.npz` file with arrays "train", "validation", "test", or with a single array;
            a folder of png and jpg pictures, with subfolders "train", "validation", "test", or
            without (its other subfolders are searched too).
            A source without named splits is all "train".
        split: "train", "validation", "test" or "train+validation".
        image_shape: `(height, width, channels)`; pictures of a folder are resized to it and turned
            into grey (1 channel) or RGB (3). None: all pictures must have one shape.

    Raises:
        ValueError: there is no such source or split, or its images cannot be used.

    Example:
        >>> import numpy as np
        >>> own_images(np.zeros((5, 28, 28, 1), np.uint8)).shape
        (5, 28, 28, 1)
    """
    if isinstance(source, np.ndarray):
        where, parts, read = "the array", {"train": source}, np.asarray
    elif not isinstance(source, str | os.PathLike):
        raise ValueError(
            "`source` must be the name of a data set, a NumPy array, or the path of a .npy or .npz "
            f"file or of a folder of pictures. Received: source of type {type(source).__name__}"
        )
    elif (path := Path(source).expanduser()).is_dir():
        where, parts = path, {part: path / part for part in PARTS if (path / part).is_dir()}
        parts = parts or {"train": path}

        def read(folder):
            return _read_folder(folder, image_shape)
    else:
        where, parts, read = path, _read_file(path), np.asarray
    wanted = split.split("+")
    if not set(wanted) <= set(parts):
        raise ValueError(
            f"{where} has no such split; it has {', '.join(parts)} (images without named splits "
            f"are all 'train'). A recipe without validation has validation_split null. "
            f"Received: split={split!r}"
        )
    images = [read(parts[part]) for part in wanted]
    for part, array in zip(wanted, images, strict=True):
        check_array(array, part if len(parts) > 1 else "source")
    if len({array.shape[1:] for array in images}) > 1:
        raise ValueError(
            f"The splits of {where} must have images of one shape. "
            f"Received: shapes {[array.shape for array in images]}"
        )
    return np.concatenate(images)


def _read_file(path):
    if not path.is_file() or path.suffix not in (".npy", ".npz"):
        raise ValueError(
            f"`source` must be the name of a data set ({', '.join(DATASETS)}) or the path of an "
            "existing .npy or .npz file or folder of pictures. "
            f"Received: source={str(path)!r}"
        )
    arrays = read_numpy(path)
    if isinstance(arrays, np.ndarray):
        arrays = {"train": arrays}
    parts = {part: arrays[part] for part in PARTS if part in arrays}
    if not parts and len(arrays) == 1:
        parts = {"train": next(iter(arrays.values()))}
    if not parts:
        raise ValueError(
            f"{path} must hold arrays named train, validation or test, or a single array. "
            f"Received: arrays named {', '.join(arrays) or 'nothing'}"
        )
    return parts


def read_numpy(path):
    """The array of a .npy file, or a dict of those of an .npz file."""
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            # Reading every array here finds a truncated file now, with its name.
            return arrays if isinstance(arrays, np.ndarray) else dict(arrays)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zipfile.zlib.error) as error:
        raise ValueError(f"{path} cannot be read as a NumPy file: {error}") from error


def _read_folder(folder, image_shape):
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
    if not paths:
        raise ValueError(
            f"`source` must be a folder with pictures ({', '.join(PICTURES)}), and there are none "
            f"in it. Received: source={str(folder)!r}"
        )
    images = [_read_picture(path, image_shape) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape != images[0].shape:
            raise ValueError(
                f"The pictures of a folder must have one shape; give `image_shape` to resize them. "
                f"Received: {paths[0]} of shape {images[0].shape}, {path} of shape {image.shape}"
            )
    return np.stack(images)


def _read_picture(path, image_shape):
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
    # Pillow raises SyntaxError for some broken files.
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    if picture.mode.startswith(("I", "F")):
        raise ValueError(
            f"{path} must have 8 bits a channel. Received: a picture of mode {picture.mode}"
        )
    if image_shape is None:
        channels = 1 if picture.mode in ("1", "L", "LA") else 3
    else:
        height, width, channels = image_shape
    picture = picture.convert("L" if channels == 1 else "RGB")
    if image_shape is not None:
        # Pillow's bilinear filter averages over all pixels that a new, larger pixel covers.
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture)
    return pixels.reshape(*pixels.shape[:2], channels)

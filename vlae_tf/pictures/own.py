"""A user's own images and labels, from an array, a file or a folder of pictures."""

import dataclasses
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vlae_tf.checks import check_array, check_integer, check_number, refuse
from vlae_tf.files import PathLike
from vlae_tf.pictures.array_files import ARRAYS, is_array_file, read_array_file, stacked
from vlae_tf.pictures.picture import SUFFIXES, read_picture
from vlae_tf.pictures.splits import find_labels, find_splits

log = logging.getLogger(__name__)
# Left by systems and programs beside a user's files.
_LITTER = ("__macosx", "thumbs.db", "desktop.ini")


def own_images(
    source: PathLike | np.ndarray,
    split: str = "train",
    image_shape: Sequence[int] | None = None,
    validation_fraction: float = 0.0,
    seed: int = 0,
) -> np.ndarray:
    """Own images as one uint8 array (n, height, width, channels).

    Args:
        source: one of
            an array (n, height, width, channels), or (n, height, width) of grey images;
            a picture;
            a file with one such array, or with one for each split: .npy, .npz, IDX (as MNIST's),
            .mat, .h5, or .parquet with a column "image" of pictures;
            a folder of pictures, with a subfolder for each split, or without (its other subfolders
            are searched too, also where they are links).
            Splits are called train, validation and test, or training, valid, val, dev, testing, in
            any case. A source without named splits is all "train".
        split: "train", "validation", "test" or "train+validation".
        image_shape: `(height, width, channels)`; pictures are resized to it and turned into grey (1
            channel) or RGB (3). None: all pictures must have one shape.
        validation_fraction: part of the training images that are the split "validation", for a
            source without one; drawn at random.
        seed: seed of that draw.

    Raises:
        ValueError: there is no such source or split, or its images cannot be used.
        OSError: a file cannot be opened.

    Example:
        >>> import numpy as np
        >>> own_images(np.zeros((5, 28, 28, 1), np.uint8)).shape
        (5, 28, 28, 1)
    """
    parts, where = _parts(source, image_shape)
    names = _wanted(parts, where, split, validation_fraction)
    images = [_checked(parts[name].images(), _told(source, name, parts)) for name in names]
    if len({array.shape[1:] for array in images}) > 1:
        raise ValueError(
            f"The splits of {where} must have images of one shape. "
            f"Received: shapes {[array.shape for array in images]}"
        )
    return _held_out(np.concatenate(images), split, parts, validation_fraction, seed)


def _told(source, split, parts):
    """What an error calls the images of a split: the argument, or the file."""
    if isinstance(source, np.ndarray):
        return "source"
    return f"{source}, {split}" if len(parts) > 1 else str(source)


def own_labels(
    source: PathLike, split: str = "train", validation_fraction: float = 0.0, seed: int = 0
) -> np.ndarray:
    """The class of each image of `own_images`, int64 `(n,)`.

    In a folder the subfolders are the classes, numbered in the order of their names over all
    splits. In a file they are arrays named as the splits are: `y_train`, `train_labels`, or
    `labels` beside a single array.

    Args:
        source: a folder or a file, as `own_images` takes it.
        split, validation_fraction, seed: those of `own_images`.

    Raises:
        ValueError: there is no such source or split, or it has no classes.

    Example:
        >>> import numpy as np
        >>> np.savez("digits.npz", x_train=np.zeros((2, 8, 8), "uint8"), y_train=[3, 7])
        >>> own_labels("digits.npz")
        array([3, 7])
    """
    parts, where = _parts(source, None)
    names = _wanted(parts, where, split, validation_fraction)
    labels = [parts[name].labels() for name in names]
    if any(values is None for values in labels):
        raise ValueError(
            "`source` must have classes: a subfolder for each in a folder of pictures, or arrays "
            f"such as y_train in a file. Received: {where}, split={split!r}"
        )
    labels = np.concatenate([np.asarray(values).ravel() for values in labels]).astype("int64")
    return _held_out(labels, split, parts, validation_fraction, seed)


# === Splits ===


@dataclasses.dataclass(frozen=True)
class _Part:
    """Images and labels (or None) of a split, read when they are asked for."""

    images: Callable
    labels: Callable = lambda: None


def _parts(source, image_shape):
    """The splits of a source by name, and words for the source."""
    if isinstance(source, np.ndarray):
        return {"train": _Part(lambda: source)}, "the array"
    if not isinstance(source, str | os.PathLike):
        received = f"source of type {type(source).__name__}"
        expected = "the name of a data set, a NumPy array, or the path of a file or folder"
        refuse("source", expected, source, received)
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder_parts(path, image_shape), path
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return {"train": _Part(lambda: read_picture(path, image_shape)[None])}, path
    if path.is_file() and is_array_file(path):
        return _file_parts(path, image_shape), path
    raise ValueError(
        f"`source` must be an existing folder of pictures, a picture ({', '.join(SUFFIXES)}) or a "
        f"file of arrays ({', '.join(ARRAYS)}); turn others, such as text, into an array with "
        "`numpy.save(path, numbers.reshape(-1, height, width, channels).astype('uint8'))`. "
        f"Received: source={str(source)!r}"
    )


def _wanted(parts, where, split, validation_fraction):
    """The names of the splits to read."""
    check_number(validation_fraction, "validation_fraction", least=0, below=1)
    if validation_fraction and "validation" in parts:
        received = f"validation_fraction={validation_fraction}, and {where} has a validation split"
        refuse("validation_fraction", "0 for a source that is split", None, received)
    made = {"validation": "train"} if validation_fraction else {}
    names = list(dict.fromkeys(made.get(name, name) for name in split.split("+")))
    if not set(names) <= set(parts):
        raise ValueError(
            f"`split` must be one of those of {where}, {', '.join(parts)}, or several joined by +. "
            "Folders or arrays named train, validation and test are splits; else all images are "
            "'train', and `validation_fraction`, in a recipe too, makes 'validation' of a part. "
            "Training needs none where the recipe's validation_split is null. "
            f"Received: split={split!r}"
        )
    return names


def _held_out(rows, split, parts, validation_fraction, seed):
    """The rows of a split that is drawn from the training images, in their order; or all rows."""
    if not validation_fraction or split not in ("train", "validation"):
        return rows
    check_integer(seed, "seed", least=0)
    count = max(1, round(validation_fraction * len(rows)))
    if count == len(rows):
        expected = f"less, to leave some of the {count} images for training"
        refuse("validation_fraction", expected, validation_fraction)
    held_out = np.zeros(len(rows), bool)
    held_out[np.random.default_rng(seed).permutation(len(rows))[:count]] = True
    return rows[held_out == (split == "validation")]


def _checked(images, argument):
    """Images of shape (n, height, width, channels), uint8, of 1 or 3 channels."""
    if isinstance(images, np.ndarray):
        images = images.view("uint8") if images.dtype == bool else images
        # One colour image could be meant as well, if the last axis is short.
        if images.ndim == 3 and images.shape[-1] > 4:
            images = images[..., None]
    check_array(images, argument)
    if images.shape[3] in (1, 3):
        return images
    expected = "channels last, (n, height, width, 1 or 3)"
    for axis, hint in ((1, "np.moveaxis(images, 1, -1)"), (2, "np.moveaxis(images, -1, 0)")):
        if images.shape[axis] in (1, 3):
            expected += f"; `{hint}` turns them round"
            break
    return refuse(argument, expected, None, f"{argument} of shape {images.shape}")


# === Files ===


def _file_parts(path, image_shape):
    arrays = read_array_file(path, image_shape)
    labels = find_labels(arrays)
    splits = find_splits(arrays, path)
    others = [name for name in arrays if name not in labels.values()]
    if not splits and len(others) == 1:
        splits, labels = {"train": others[0]}, {"train": next(iter(labels.values()), None)}
    if not splits:
        raise ValueError(
            f"{path} must hold arrays named train, validation or test, or a single array. "
            f"Received: arrays named {', '.join(arrays) or 'nothing'}"
        )

    def part(split):
        return _Part(lambda: arrays[splits[split]], lambda: arrays.get(labels.get(split)))

    return {split: part(split) for split in splits}


# === Folders ===


def _folder_parts(folder, image_shape):
    names = [p.name for p in sorted(folder.iterdir()) if p.is_dir() and not _is_litter(p.name)]
    splits = find_splits(names, folder)
    folders = {split: folder / name for split, name in splits.items()} or {"train": folder}
    if splits and (beside := sorted(set(names) - set(splits.values()))):
        log.warning("%s: left out %s beside the splits", folder, ", ".join(beside))
    found = {}

    def pictures(split):
        if split not in found:
            found[split] = _pictures(folders[split])
        return found[split]

    def images(split):
        paths = pictures(split)
        return stacked([read_picture(path, image_shape) for path in paths], paths, "a folder")

    def labels(split):
        classes = {s: [p.relative_to(folders[s]).parts[:-1] for p in pictures(s)] for s in folders}
        if not all(parents for paths in classes.values() for parents in paths):
            return None
        known = sorted({parents[0] for paths in classes.values() for parents in paths})
        return [known.index(parents[0]) for parents in classes[split]]

    return {s: _Part(lambda s=s: images(s), lambda s=s: labels(s)) for s in folders}


def _pictures(folder):
    """The pictures below a folder in the order of their paths; tells what is left out."""
    found, others, seen = [], Counter(), set()
    for root, folders, files in os.walk(folder, followlinks=True):
        # A link may lead back to where it lies.
        real = os.path.realpath(root)
        folders[:] = [n for n in folders if not _is_litter(n) and real not in seen]
        for name in [] if real in seen else files:
            path = Path(root, name)
            if path.suffix.lower() in SUFFIXES and not _is_litter(name):
                found.append(path)
            elif not _is_litter(name):
                others[path.suffix.lower() or name] += 1
        seen.add(real)
    if others:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
        log.warning("%s: left out files that are no pictures: %s", folder, counts)
    if not found:
        raise ValueError(
            f"`source` must be a folder with pictures ({', '.join(SUFFIXES)}), and there are none "
            f"in it. Received: source={str(folder)!r}"
        )
    return sorted(found)


def _is_litter(name):
    return name.startswith(".") or name.lower() in _LITTER

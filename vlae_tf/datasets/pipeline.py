"""Data sets as tf.data pipelines."""

from collections.abc import Sequence
from typing import Any

from vlae_tf.checks import check_integer
from vlae_tf.datasets.arrays import check_shape, load_arrays
from vlae_tf.datasets.binarisation import binarised, check_intensities
from vlae_tf.datasets.prompt import untuned
from vlae_tf.datasets.registry import DATASETS
from vlae_tf.files import PathLike


def load(
    source: Any,
    split: str = "train",
    batch_size: int | None = None,
    shuffle: bool = False,
    seed: int = 0,
    data_dir: PathLike | None = None,
    *,
    image_shape: Sequence[int] | None = None,
    binarise: bool | None = None,
    validation_fraction: float = 0.0,
) -> Any:
    """A `tf.data.Dataset` of uint8 images, ready for `fit`.

    A dynamically binarised data set is x ~ Bernoulli(intensity / 255): splits with training images
    are drawn afresh in every iteration over the pipeline; "validation" and "test" are one fixed
    draw, `binarised(load_arrays(source, split), seed)`, the same on every machine.

    The sequence of fresh draws and of orders is reproducible from `seed` and TensorFlow's global
    seed, counted from the making of the pipeline. To resume a run, take `ImageBatches`: its epochs
    can be entered anywhere.

    Args:
        source: a name in `DATASETS`, own images as `load_arrays` takes them, or a
            `tf.data.Dataset` of single uint8 images (or of tuples whose first component, or dicts
            whose "image" is one).
        split: "train", "validation", "test" or "train+validation".
        batch_size: images in a batch; None gives single images.
        shuffle: a new order in every iteration.
        seed: seed of the order, the binarisation and the draw of validation images.
        data_dir: the TFDS directory; None means `TFDS_DATA_DIR`, or TFDS' own default.
        image_shape: own images only: the `(height, width, channels)` they must have.
        validation_fraction: part of own training images that is the split "validation", as in
            `load_arrays`.
        binarise: None: as the data set is in the papers, and not for own images. True or False:
            do it, or give the pixels as they are.

    Returns:
        A dataset of uint8 tensors (batch, height, width, channels), or (height, width, channels),
        without TensorFlow's autotuner (`untuned`).

    Raises:
        ValueError: for an invalid argument.
        FileNotFoundError: the data set is not prepared; the message says how to get it.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((10, 28, 28, 1), np.uint8)
        >>> [len(x) for x in load(images, batch_size=4)]
        [4, 4, 2]
    """
    import tensorflow as tf

    if batch_size is not None:
        check_integer(batch_size, "batch_size", least=1)
    if binarise is None:
        named = isinstance(source, str) and source in DATASETS
        binarise = named and DATASETS[source].binarisation == "dynamic"
    afresh = binarise and split.startswith("train")
    if isinstance(source, tf.data.Dataset):
        images = _single_images(source, split, image_shape)
        size = int(images.cardinality())
        size = size if size > 0 else 10_000  # unknown or infinite: shuffle what fits in memory
    else:
        array = load_arrays(
            source,
            split,
            data_dir,
            image_shape=image_shape,
            seed=seed,
            validation_fraction=validation_fraction,
        )
        if afresh:
            check_intensities(array, "source")
        elif binarise:
            array = binarised(array, seed)
        images, size = tf.data.Dataset.from_tensor_slices(array), len(array)
    if shuffle:
        images = images.shuffle(size, seed=seed, reshuffle_each_iteration=True)
    if batch_size:
        images = images.batch(batch_size)
    if afresh:
        images = _binarise(images, seed)
    return untuned(images.prefetch(2))


def _binarise(images, seed):
    """Bernoulli draws, each iteration over the result with its own."""
    import tensorflow as tf

    def draw(intensities, key):
        # u is uniform on 0..254, so P(u < intensity) is exactly intensity / 255.
        uniform = tf.random.stateless_uniform(
            tf.shape(intensities), (seed, key), 0, 255, tf.dtypes.int32
        )
        return tf.cast(uniform < tf.cast(intensities, tf.int32), tf.uint8)

    keys = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
    pairs = tf.data.Dataset.zip(images, keys)
    return pairs.map(draw, num_parallel_calls=2)


def _single_images(dataset, split, image_shape):
    """A user's own tf.data pipeline, reduced to its images and checked by its element_spec."""
    import tensorflow as tf

    if split != "train":
        raise ValueError(
            f"A tf.data.Dataset has no named splits, it is all 'train'. Received: split={split!r}"
        )
    spec = dataset.element_spec
    if isinstance(spec, dict):
        if "image" not in spec:
            raise ValueError(f'`source` must have an "image". Received: keys {", ".join(spec)}')
        dataset = dataset.map(lambda element: element["image"])
    elif isinstance(spec, tuple):
        dataset = dataset.map(lambda *element: element[0])
    spec = dataset.element_spec
    if not isinstance(spec, tf.TensorSpec) or spec.dtype != tf.uint8 or spec.shape.rank != 3:
        raise ValueError(
            "`source` must be a tf.data.Dataset of single uint8 images (height, width, channels), "
            f"pixels 0..255 or binary; use `.unbatch()` on batches. Received: elements {spec}"
        )
    check_shape(image_shape, spec.shape, "the tf.data.Dataset")
    return dataset

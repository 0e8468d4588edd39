"""Batches of images for `fit` and `evaluate` on either backend."""

import math

import keras
import numpy as np

from vlae_tf.checks import check_array, check_integer, refuse
from vlae_tf.datasets.binarisation import bernoulli, check_intensities
from vlae_tf.datasets.prompt import untuned


class ImageBatches(keras.utils.PyDataset):
    """Batches from an array of images whose epochs can be replayed: batch = f(seed, epoch, index).

    Order and binarisation depend on nothing else, so a training run resumed with
    `initial_epoch=k` sees the batches that the uninterrupted run saw from epoch k on.
    Call `fit(batches, shuffle=False)`: with its default, Keras visits the batches of each epoch in
    an order of its own, drawn from Python's global `random`.
    An epoch lasts from `on_epoch_begin` to `on_epoch_end`. Not only `fit` but also `evaluate` calls
    them; for evaluation give images with a fixed draw, in a fixed order:
    `ImageBatches(binarised(images), 128, shuffle=False)`. (The model should be built; a `VAE`
    always is. To build one, Keras begins and ends an epoch more on the JAX backend.)
    With TensorFlow on a CPU `fit(batches.to_tf_dataset(), steps_per_epoch=batches.num_batches)`
    sees the same batches and is faster, up to twice as fast.
    Why not Grain: `fit` replays a shuffled Grain dataset in the same order each epoch, and reads it
    by a generator on TensorFlow, which is slow (`to_tf_dataset`).

    Args:
        images: uint8 array (n, height, width, channels); binary pixels or intensities 0..255.
        batch_size: images in a batch; the last batch of an epoch may be smaller.
        shuffle: a new order in each epoch.
        binarise: draw x ~ Bernoulli(images / 255) afresh in each epoch.
        seed: integer of at least 0, from which order and binarisation are drawn.
        initial_epoch: the epoch to begin with, equal to that given to `fit`.
        drop_remainder: leave out a last batch smaller than `batch_size`.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of `keras.utils.PyDataset`.

    Raises:
        ValueError: for an invalid argument.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((10, 28, 28, 1), np.uint8)
        >>> [len(x) for (x,) in ImageBatches(images, batch_size=4)]
        [4, 4, 2]
    """

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        shuffle: bool = True,
        binarise: bool = False,
        seed: int = 0,
        initial_epoch: int = 0,
        drop_remainder: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        check_array(images)
        if binarise:
            check_intensities(images)
        self.images = images
        self.batch_size = check_integer(batch_size, "batch_size", least=1)
        if drop_remainder and batch_size > len(images):
            expected = f"at most the number of images, {len(images)}, with `drop_remainder`"
            refuse("batch_size", expected, batch_size)
        self.shuffle = shuffle
        self.binarise = binarise
        self.seed = check_integer(seed, "seed", least=0)
        self.initial_epoch = check_integer(initial_epoch, "initial_epoch", least=0)
        self.drop_remainder = drop_remainder
        self.start(self.initial_epoch)

    @property
    def epoch(self):
        """The epoch whose batches are given out now."""
        return self._epoch

    @property
    def num_batches(self):
        rounding = math.floor if self.drop_remainder else math.ceil
        return rounding(len(self.images) / self.batch_size)

    def to_tf_dataset(self):
        """The batches as a `tf.data.Dataset`, epoch after epoch without end.

        TensorFlow knows the size of a batch, with which its graph is a ninth faster (mnist_static
        on a CPU). And it reads no generator (Keras makes one of a `PyDataset`): at the first of
        those it has the C library return freed memory to the system at once (M_TRIM_THRESHOLD), and
        from then on every step spends up to half of its time on getting it back.

        The epochs are counted here while they are drawn: use the batches for nothing else then.

        Raises:
            ValueError: if the last batch would be smaller than the others.

        Example:
            >>> import numpy as np
            >>> batches = ImageBatches(np.zeros((10, 28, 28, 1), np.uint8), 5)
            >>> batches.to_tf_dataset().element_spec.shape
            TensorShape([5, 28, 28, 1])
        """
        import tensorflow as tf

        if len(self.images) % self.batch_size and self.num_batches > 1 and not self.drop_remainder:
            raise ValueError(
                "`drop_remainder` must be set, or `batch_size` divide the number of images, "
                f"{len(self.images)}: all batches of a `tf.data.Dataset` with known shapes are of "
                f"one size. Received: batch_size={self.batch_size}, drop_remainder=False"
            )

        def batch(step):
            index = int(step) % self.num_batches
            if index == 0:
                self.on_epoch_begin()
            (images,) = self[index]
            if index == self.num_batches - 1:
                self.on_epoch_end()
            return images

        size = min(self.batch_size, len(self.images))

        def draw(step):
            images = tf.numpy_function(batch, [step], self.images.dtype)
            return tf.ensure_shape(images, (size, *self.images.shape[1:]))

        return untuned(tf.data.Dataset.counter().map(draw).prefetch(2))

    def on_epoch_begin(self):
        self._begun = True

    def on_epoch_end(self):
        # `fit` also calls this before its first epoch, which must not count.
        if self._begun:
            self.start(self._epoch + 1)

    def __getitem__(self, index):
        if not 0 <= index < self.num_batches:
            raise IndexError(f"Expected 0 <= index < {self.num_batches}. Received: index={index}")
        rows = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        images = self.images[rows]
        if self.binarise:
            images = bernoulli(images, self._rng(self._epoch, index))
        return (images,)  # a tuple, which Keras reads as (inputs,)

    def start(self, epoch):
        """Goes to the beginning of an epoch."""
        self._epoch = epoch
        self._begun = False
        order = np.arange(len(self.images))
        self._order = self._rng(epoch).permutation(order) if self.shuffle else order

    def _rng(self, *key):
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

"""Batches of images for `fit` and `evaluate` on either backend."""

import math

import keras
import numpy as np

from vlae_tf.datasets.binarisation import bernoulli, check_images, check_intensities


class ImageBatches(keras.utils.PyDataset):
    """Batches from an array of images whose epochs can be replayed: batch = f(seed, epoch, index).

    Order and binarisation depend on nothing else, so a training run resumed with
    `initial_epoch=k` sees the batches that the uninterrupted run saw from epoch k on.
    Call `fit(batches, shuffle=False)`: with its default, Keras visits the batches of each epoch in
    an order of its own, drawn from Python's global `random`.
    An epoch lasts from `on_epoch_begin` to `on_epoch_end`. Not only `fit` but also `evaluate` calls
    them; for evaluation give images with a fixed draw, in a fixed order:
    `ImageBatches(binarised(images), 128, shuffle=False)`. (The model should be built, as a `VLAE`
    always is: to build one, Keras begins and ends an epoch more on the JAX backend.)

    Args:
        images: uint8 array (n, height, width, channels); binary pixels or intensities 0..255.
        batch_size: images in a batch; the last batch of an epoch may be smaller.
        shuffle: a new order in each epoch.
        binarise: draw x ~ Bernoulli(images / 255) afresh in each epoch.
        seed: a non-negative int.
        initial_epoch: the epoch to begin with, equal to that given to `fit`.
        drop_remainder: leave out a last batch smaller than `batch_size`.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of `keras.utils.PyDataset`.

    Raises:
        ValueError: an argument is not as described.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((10, 28, 28, 1), np.uint8)
        >>> [len(x) for (x,) in ImageBatches(images, batch_size=4)]
        [4, 4, 2]
    """

    def __init__(
        self,
        images,
        batch_size,
        shuffle=True,
        binarise=False,
        seed=0,
        initial_epoch=0,
        drop_remainder=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_images(images)
        if binarise:
            check_intensities(images)
        for argument, value, least in (
            ("batch_size", batch_size, 1),
            ("seed", seed, 0),
            ("initial_epoch", initial_epoch, 0),
        ):
            if not isinstance(value, int | np.integer) or value < least:
                raise ValueError(
                    f"`{argument}` must be an integer of at least {least}. "
                    f"Received: {argument}={value!r}"
                )
        if drop_remainder and batch_size > len(images):
            raise ValueError(
                f"`batch_size` must be at most the number of images, {len(images)}, when "
                f"`drop_remainder` is set. Received: batch_size={batch_size}"
            )
        self.images = images
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.binarise = binarise
        self.seed = int(seed)
        self.initial_epoch = int(initial_epoch)
        self.drop_remainder = drop_remainder
        self._start(self.initial_epoch)

    @property
    def epoch(self):
        """The epoch whose batches are given out now."""
        return self._epoch

    @property
    def num_batches(self):
        rounding = math.floor if self.drop_remainder else math.ceil
        return rounding(len(self.images) / self.batch_size)

    def on_epoch_begin(self):
        self._begun = True

    def on_epoch_end(self):
        # `fit` also calls this before its first epoch, which must not count.
        if self._begun:
            self._start(self._epoch + 1)

    def __getitem__(self, index):
        if not 0 <= index < self.num_batches:
            raise IndexError(f"Expected 0 <= index < {self.num_batches}. Received: index={index}")
        rows = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        images = self.images[rows]
        if self.binarise:
            images = bernoulli(images, self._rng(self._epoch, index))
        return (images,)  # a tuple, which Keras reads as (inputs,)

    def _start(self, epoch):
        self._epoch = epoch
        self._begun = False
        order = np.arange(len(self.images))
        self._order = self._rng(epoch).permutation(order) if self.shuffle else order

    def _rng(self, *key):
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

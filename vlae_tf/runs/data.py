"""Images of a recipe."""

import copy
import hashlib

import keras

from vlae_tf.backend import replicas
from vlae_tf.checks import refuse
from vlae_tf.datasets import DATASETS, ImageBatches, binarised, load_arrays
from vlae_tf.datasets.prompt import can_be_divided


class RunData:
    """Images of a training run, read once: those to train on, those to validate on, the batches.

    Args:
        recipe: `Recipe` of the run.
        data_dir: folder where TFDS keeps its data.

    Attributes:
        images: training images as the model takes them, uint8 `(n, height, width, channels)`;
            intensities where they are binarised afresh in each epoch.
        validation_images: as the model takes them, the same in each epoch; None if there are none.
        batches: `ImageBatches` of `images`, in an order that a resumed run repeats. Images that do
            not fill a last batch are left out, others in each epoch.

    Raises:
        ValueError: for images that the recipe's model does not take.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from vlae_tf.runs import Recipe, RunData
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "digits.npz"
        >>> np.savez(path, train=np.zeros((10, 8, 8, 1), "uint8"))
        >>> recipe = Recipe(str(path), {"latent_dim": 2}, 1, batch_size=4, validation_split=None)
        >>> RunData(recipe).steps_per_epoch
        2
    """

    def __init__(self, recipe, data_dir=None):
        draw = not draws_afresh(recipe)
        self.images = _load(recipe, recipe.train_split, data_dir, draw, recipe.seed)
        split = recipe.validation_split
        self.validation_images = (
            None if split is None else split_images(recipe, split, recipe.seed, data_dir)
        )
        self._set(recipe)

    def of(self, recipe):
        """The same images in the batches of another recipe: of another size, or another seed."""
        other = copy.copy(self)
        other._set(recipe)
        return other

    def _set(self, recipe):
        self.recipe = recipe
        self.batches = ImageBatches(
            self.images,
            recipe.batch_size,
            binarise=draws_afresh(recipe),
            seed=recipe.seed,
            drop_remainder=len(self.images) >= recipe.batch_size,
        )

    def first(self, n):
        """The first training images, at most `n`, as the model takes them."""
        images = self.images[:n]
        return binarised(images, self.recipe.seed) if draws_afresh(self.recipe) else images

    @property
    def image_shape(self):
        """`(height, width, channels)`."""
        return self.images.shape[1:]

    def fingerprint(self):
        """Number and sha256 of the images of each split: a dict, as run.json keeps it."""
        splits = {"train": self.images, "validation": self.validation_images}
        return {
            name: {"images": len(x), "sha256": images_sha256(x)}
            for name, x in splits.items()
            if x is not None
        }

    @property
    def steps_per_epoch(self):
        return self.batches.num_batches

    def fit_arguments(self, initial_epoch=0):
        """Arguments for `fit`: what to train on from this epoch on, and what to validate on."""
        self.batches.start(initial_epoch)
        arguments = {"x": self.batches, "shuffle": False}
        if keras.backend.backend() == "tensorflow":
            arguments["x"] = self.batches.to_tf_dataset()
            arguments["steps_per_epoch"] = self.steps_per_epoch
        if self.validation_images is not None:
            # As an array: Keras reads an `ImageBatches` as a generator, which makes TensorFlow
            # slow.
            size = _validation_batch(len(self.validation_images))
            arguments |= {"validation_data": self.validation_images, "validation_batch_size": size}
        return arguments


def _validation_batch(count, most=250):
    """The largest size of batches that the devices can share, in equal parts where that can be."""
    devices = replicas()
    sizes = [size for size in range(1, most + 1) if can_be_divided(count, size, devices)]
    return max(sizes, key=lambda size: (size % devices == 0, size), default=most)


def draws_afresh(recipe):
    """Whether the training images are intensities, to be drawn anew in each epoch."""
    return binarisation(recipe) == "dynamic"


def images_sha256(images):
    """The sha256 of an array of images, by which a run or a measurement names its data."""
    return hashlib.sha256(images.tobytes()).hexdigest()


def binarisation(recipe):
    """How the images become what the model takes: "static", "dynamic" or "none"."""
    if recipe.levels > 2:
        return "none"
    known = DATASETS.get(recipe.dataset)
    return recipe.binarise or (known.binarisation if known else "static")


def split_images(recipe, split, seed=0, data_dir=None):
    """The images of a split as the model takes them: what a recipe binarises is drawn once.

    Raises:
        ValueError: for images that the recipe's model does not take.
    """
    return _load(recipe, split, data_dir, True, seed)


def _load(recipe, split, data_dir, draw, seed):
    images = load_arrays(
        recipe.dataset,
        split,
        data_dir,
        image_shape=recipe.model.get("image_shape"),
        validation_fraction=recipe.validation_fraction,
    )
    if recipe.levels > 2:
        return images
    if images.shape[-1] == 3 and not recipe.model.get("likelihood_family"):
        received = f"a model of 2 levels, and images of shape {images.shape[1:]}"
        expected = f'have "levels": 256 or "image_shape": {list(images.shape[1:])} for colours'
        raise ValueError(f"`model` must {expected}. Received: {received}")
    if recipe.binarise or draws_afresh(recipe):
        return binarised(images, seed) if draw else images
    if images.max() > 1:
        refuse(
            "binarise",
            '"dynamic" or "static" in a recipe whose images are not binary and whose model is; or '
            'give the model "levels": 256',
            recipe.binarise,
            received=f"binarise=None, dataset={recipe.dataset!r} with pixels up to {images.max()} "
            f"in {split}",
        )
    return images

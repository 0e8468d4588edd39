"""The images of a recipe."""

import keras

from vlae_tf.datasets import DATASETS, ImageBatches, binarised, load_arrays


def draws_afresh(recipe):
    """Whether the training images are intensities, to be drawn anew in each epoch."""
    return binarisation(recipe) == "dynamic"


def binarisation(recipe):
    """How the images become what the model takes: "static", "dynamic" or "none"."""
    if recipe.levels > 2:
        return "none"
    known = DATASETS.get(recipe.dataset)
    return recipe.binarise or (known.binarisation if known else "static")


def split_images(recipe, split, seed=0, data_dir=None):
    """The images of a split as the model takes them, those of a "dynamic" set drawn once."""
    images = _stored(recipe, split, data_dir)
    return binarised(images, seed) if recipe.levels == 2 and images.max() > 1 else images


def training_images(recipe, data_dir=None):
    """uint8 `(n, height, width, channels)` as the model takes them; intensities where
    `draws_afresh`."""
    return _load(recipe, recipe.train_split, data_dir, draw=not draws_afresh(recipe))


def validation_images(recipe, data_dir=None):
    """As the model takes them, the same in each epoch; None where there is no validation."""
    if recipe.validation_split is None:
        return None
    return _load(recipe, recipe.validation_split, data_dir, draw=True)


def training_batches(recipe, images, initial_epoch=0):
    """The batches of `training_images`, in an order of their own that a resumed run repeats.

    Those that do not fill a last batch are left out, others in each epoch.
    """
    return ImageBatches(
        images,
        recipe.batch_size,
        binarise=draws_afresh(recipe),
        seed=recipe.seed,
        initial_epoch=initial_epoch,
        drop_remainder=len(images) >= recipe.batch_size,
    )


def training_data(recipe, images, initial_epoch=0):
    """Arguments for `fit`: the `training_batches`, and what makes it take them as they come."""
    batches = training_batches(recipe, images, initial_epoch)
    if keras.backend.backend() != "tensorflow":
        return {"x": batches, "shuffle": False}
    steps = batches.num_batches
    return {"x": batches.to_tf_dataset(), "steps_per_epoch": steps, "shuffle": False}


def validation_data(images):
    """Arguments for `fit`, to validate on these images after each epoch, if there are any."""
    # As an array: Keras reads an `ImageBatches` as a generator, which makes TensorFlow slow.
    return {} if images is None else {"validation_data": images, "validation_batch_size": 250}


def _stored(recipe, split, data_dir):
    shape = recipe.model.get("image_shape")
    return load_arrays(recipe.dataset, split, data_dir, image_shape=shape)


def _load(recipe, split, data_dir, draw):
    images = _stored(recipe, split, data_dir)
    if recipe.levels > 2:
        return images
    if recipe.binarise or draws_afresh(recipe):
        return binarised(images, seed=recipe.seed) if draw else images
    if images.max() > 1:
        raise ValueError(
            "The images must be binary, or the recipe's `binarise` say how they become so, "
            f"dynamic or static. Received: dataset={recipe.dataset!r} with pixels up to "
            f"{images.max()}, binarise=None"
        )
    return images

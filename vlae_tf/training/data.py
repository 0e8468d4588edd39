"""The images of a recipe."""

from vlae_tf.datasets import DATASETS, ImageBatches, binarised, load_arrays


def draws_afresh(recipe):
    """Whether the training images are intensities, to be drawn anew in each epoch."""
    known = DATASETS.get(recipe.dataset)
    return (recipe.binarise or (known and known.binarisation)) == "dynamic"


def training_images(recipe, data_dir=None):
    """uint8 `(n, height, width, channels)`: binary, or intensities where `draws_afresh`."""
    return _load(recipe, recipe.train_split, data_dir, draw=not draws_afresh(recipe))


def validation_images(recipe, data_dir=None):
    """Binary images, the same in each epoch, or None where the recipe has no validation."""
    if recipe.validation_split is None:
        return None
    return _load(recipe, recipe.validation_split, data_dir, draw=True)


def training_batches(recipe, images, initial_epoch=0):
    """The batches of `training_images`, in an order of their own that a resumed run repeats."""
    return ImageBatches(
        images,
        recipe.batch_size,
        binarise=draws_afresh(recipe),
        seed=recipe.seed,
        initial_epoch=initial_epoch,
    )


def validation_batches(images):
    return ImageBatches(images, 250, shuffle=False)


def _load(recipe, split, data_dir, draw):
    shape = recipe.model.get("image_shape")
    images = load_arrays(recipe.dataset, split, data_dir, image_shape=shape)
    if recipe.binarise or draws_afresh(recipe):
        return binarised(images, seed=recipe.seed) if draw else images
    if images.max() > 1:
        raise ValueError(
            "The images must be binary, or the recipe's `binarise` say how they become so, "
            f"dynamic or static. Received: dataset={recipe.dataset!r} with pixels up to "
            f"{images.max()}, binarise=None"
        )
    return images

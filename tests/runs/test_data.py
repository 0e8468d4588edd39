"""The images of a recipe, and how they become binary."""

import keras
import numpy as np
import pytest

from vlae_tf.datasets import binarised, load_arrays
from vlae_tf.runs import Recipe
from vlae_tf.runs.data import (
    draws_afresh,
    training_batches,
    training_data,
    training_images,
    validation_images,
)

pytestmark = pytest.mark.jax


@pytest.fixture(scope="module")
def grey(save_images, tmp_path_factory):
    path = tmp_path_factory.mktemp("grey") / "grey.npz"
    return save_images(path, highest=255, train=5, validation=4)


def test_own_binary_images_are_as_they_are(images, tiny_recipe):
    recipe = tiny_recipe(images)
    assert not draws_afresh(recipe)
    np.testing.assert_array_equal(training_images(recipe), load_arrays(images, "train"))
    np.testing.assert_array_equal(validation_images(recipe), load_arrays(images, "validation"))


def test_dynamic_draws_anew_for_training_and_once_for_validation(grey, tiny_recipe):
    recipe = tiny_recipe(grey, binarise="dynamic", seed=4)
    assert draws_afresh(recipe)
    np.testing.assert_array_equal(training_images(recipe), load_arrays(grey, "train"))
    once = binarised(load_arrays(grey, "validation"), seed=4)
    np.testing.assert_array_equal(validation_images(recipe), once)


def test_static_is_one_draw(grey, tiny_recipe):
    recipe = tiny_recipe(grey, binarise="static", seed=4)
    assert not draws_afresh(recipe)
    once = binarised(load_arrays(grey, "train"), seed=4)
    np.testing.assert_array_equal(training_images(recipe), once)


def test_known_data_set_says_how_it_is_drawn():
    settings = {"model": {"latent_dim": 2}, "epochs": 1}
    assert draws_afresh(Recipe("mnist_dynamic", **settings))
    assert not draws_afresh(Recipe("mnist_static", **settings))
    assert not draws_afresh(Recipe("mnist_dynamic", **settings, binarise="static"))


def test_no_validation(images, tiny_recipe):
    assert validation_images(tiny_recipe(images, validation_split=None)) is None


def test_intensities_need_to_be_drawn(grey, tiny_recipe):
    with pytest.raises(ValueError, match="must be binary, or the recipe's `binarise` say how"):
        training_images(tiny_recipe(grey))


def test_binary_images_cannot_be_drawn(images, tiny_recipe):
    with pytest.raises(ValueError, match="binary already"):
        validation_images(tiny_recipe(images, binarise="dynamic"))


def test_shape_that_the_images_do_not_have(images, tiny_recipe):
    recipe = tiny_recipe(images)
    recipe.model["image_shape"] = [10, 10, 1]
    with pytest.raises(ValueError, match="`image_shape` .10, 10, 1.. Received: .* .8, 8, 1."):
        training_images(recipe)


def test_tensorflow_knows_the_size_of_a_batch_and_gets_the_same_batches(grey, tiny_recipe):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("needs TensorFlow")
    recipe = tiny_recipe(grey, binarise="dynamic", batch_size=3)
    images = training_images(recipe)
    given = training_data(recipe, images, initial_epoch=1)
    assert given["x"].element_spec.shape == (3, *images.shape[1:])

    batches = training_batches(recipe, images, initial_epoch=1)
    expected = []
    for _ in range(2):
        batches.on_epoch_begin()
        expected += [x for (x,) in batches]
        batches.on_epoch_end()
    assert given["steps_per_epoch"] == len(images) // 3 == len(expected) / 2
    drawn = [x.numpy() for x in given["x"].take(len(expected))]
    np.testing.assert_array_equal(drawn, expected)


def test_fewer_images_than_a_batch_are_one(images, tiny_recipe):
    recipe = tiny_recipe(images, batch_size=1000)
    stored = training_images(recipe)
    (batch,) = training_batches(recipe, stored)
    assert len(batch[0]) == len(stored)

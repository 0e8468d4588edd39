"""The images of a run, and how they become binary."""

import keras
import numpy as np
import pytest

from tests.tiny import tiny_recipe, write_images
from vlae_tf.datasets import binarised, load_arrays
from vlae_tf.runs import Recipe, RunData
from vlae_tf.runs.data import draws_afresh, split_images

pytestmark = pytest.mark.jax

VALIDATED = {"validation_split": "validation"}


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    path = tmp_path_factory.mktemp("grey") / "grey.npz"
    return write_images(path, levels=256, train=5, validation=4)


def test_own_binary_images_are_as_they_are(images):
    recipe = tiny_recipe(images, **VALIDATED)
    data = RunData(recipe)
    assert not draws_afresh(recipe)
    np.testing.assert_array_equal(data.images, load_arrays(images, "train"))
    np.testing.assert_array_equal(data.validation_images, load_arrays(images, "validation"))
    assert data.image_shape == (8, 8, 1)


def test_dynamic_draws_anew_for_training_and_once_for_validation(grey):
    recipe = tiny_recipe(grey, binarise="dynamic", seed=4, **VALIDATED)
    data = RunData(recipe)
    assert draws_afresh(recipe)
    np.testing.assert_array_equal(data.images, load_arrays(grey, "train"))
    once = binarised(load_arrays(grey, "validation"), seed=4)
    np.testing.assert_array_equal(data.validation_images, once)


def test_static_is_one_draw(grey):
    recipe = tiny_recipe(grey, binarise="static", seed=4)
    assert not draws_afresh(recipe)
    once = binarised(load_arrays(grey, "train"), seed=4)
    np.testing.assert_array_equal(RunData(recipe).images, once)


def test_known_data_set_says_how_it_is_drawn():
    settings = {"model": {"latent_dim": 2}, "epochs": 1}
    assert draws_afresh(Recipe("mnist_dynamic", **settings))
    assert not draws_afresh(Recipe("mnist_static", **settings))
    assert not draws_afresh(Recipe("mnist_dynamic", **settings, binarise="static"))


def test_no_validation(images):
    data = RunData(tiny_recipe(images))
    assert data.validation_images is None and "validation_data" not in data.fit_arguments()


def test_intensities_need_to_be_drawn(grey):
    with pytest.raises(ValueError, match="`binarise` must be .*not binary.*binarise=None"):
        RunData(tiny_recipe(grey))


def test_grey_test_images_of_a_binary_model_are_refused(tmp_path):
    """They were drawn without being asked for, and had a plausible likelihood."""
    train, test = (np.full((8, 8, 8, 1), top, "uint8") for top in (1, 200))
    np.savez(tmp_path / "mixed.npz", train=train, test=test)
    recipe = tiny_recipe(tmp_path / "mixed.npz")
    RunData(recipe)
    with pytest.raises(ValueError, match="binarise.*pixels up to 200 in test"):
        split_images(recipe, "test")
    once = split_images(recipe.replace(binarise="static"), "test", seed=3)
    np.testing.assert_array_equal(once, binarised(test, seed=3))


def test_binary_images_cannot_be_drawn(images):
    with pytest.raises(ValueError, match="binary already"):
        RunData(tiny_recipe(images, binarise="dynamic", **VALIDATED))


def test_shape_that_the_images_do_not_have(images):
    recipe = tiny_recipe(images)
    recipe = recipe.replace(model=recipe.model | {"image_shape": [10, 10, 1]})
    with pytest.raises(ValueError, match="`image_shape` .10, 10, 1.. Received: .* .8, 8, 1."):
        RunData(recipe)


def test_tensorflow_knows_the_size_of_a_batch_and_gets_the_same_batches(grey):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("needs TensorFlow")
    data = RunData(tiny_recipe(grey, binarise="dynamic", batch_size=3))
    given = data.fit_arguments(initial_epoch=1)
    assert given["x"].element_spec.shape == (3, *data.image_shape)

    batches = RunData(data.recipe).batches
    batches.start(1)
    expected = []
    for _ in range(2):
        batches.on_epoch_begin()
        expected += [x for (x,) in batches]
        batches.on_epoch_end()
    assert given["steps_per_epoch"] == data.steps_per_epoch == len(data.images) // 3
    assert len(expected) == 2 * data.steps_per_epoch
    drawn = [x.numpy() for x in given["x"].take(len(expected))]
    np.testing.assert_array_equal(drawn, expected)


def test_fewer_images_than_a_batch_are_one(images):
    data = RunData(tiny_recipe(images, batch_size=1000))
    (batch,) = data.batches
    assert len(batch[0]) == len(data.images)


def test_other_recipe_shares_the_images_alone(images):
    data = RunData(tiny_recipe(images, batch_size=8))
    other = data.of(tiny_recipe(images, batch_size=5, seed=1))
    assert other.images is data.images
    assert (other.steps_per_epoch, data.steps_per_epoch) == (4, 3)
    assert (other.batches[0][0][:5] != data.batches[0][0][:5]).any()


def test_a_fraction_of_the_images_is_for_validation(images):
    held_out = tiny_recipe(images, validation_fraction=0.25, **VALIDATED)
    with pytest.raises(ValueError, match="0 for a source that is split"):
        RunData(held_out)


def test_held_out_images_do_not_depend_on_the_seed(tmp_path):
    file = write_images(tmp_path / "images.npz", train=12)
    recipe = tiny_recipe(file, validation_fraction=0.25, **VALIDATED)
    data, other = RunData(recipe), RunData(recipe.replace(seed=5))
    assert (len(data.images), len(data.validation_images)) == (9, 3)
    np.testing.assert_array_equal(data.validation_images, other.validation_images)
    assert data.fingerprint() == other.fingerprint()
    assert data.fingerprint()["train"]["images"] == 9

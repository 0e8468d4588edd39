import re

import keras
import numpy as np
import pytest

from vlae_tf.datasets import binarised, load

tf = pytest.importorskip("tensorflow")


def grey(n=20, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 4, 4, 1), np.uint8)


def iterations(dataset, n):
    return [np.concatenate(list(dataset.as_numpy_iterator())) for _ in range(n)]


def test_single_images_and_batches():
    images = grey()
    np.testing.assert_array_equal(np.stack(list(load(images).as_numpy_iterator())), images)
    batches = load(images, batch_size=8)
    assert batches.element_spec.dtype == tf.uint8
    assert [x.shape for x in batches] == [(8, 4, 4, 1), (8, 4, 4, 1), (4, 4, 4, 1)]
    np.testing.assert_array_equal(iterations(batches, 1)[0], images)
    assert batches.cardinality() == 3


def test_shuffling_gives_every_image_once_in_another_order_each_time():
    images = np.arange(30, dtype=np.uint8)[:, None, None, None]
    first, second = (x.ravel() for x in iterations(load(images, batch_size=8, shuffle=True), 2))
    assert sorted(first) == sorted(second) == list(range(30))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("shuffle", [False, True])
def test_fresh_draws_are_reproducible_from_the_seed(shuffle):
    arguments = dict(batch_size=8, shuffle=shuffle, binarise=True)
    first = iterations(load(grey(), seed=1, **arguments), 3)
    again = iterations(load(grey(), seed=1, **arguments), 3)
    other = iterations(load(grey(), seed=2, **arguments), 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1]) and not np.array_equal(first[1], first[2])


def test_fresh_draws_have_the_intensities_as_their_mean():
    images = grey(5)
    drawn = iterations(load(images, batch_size=5, binarise=True).repeat(1000).batch(1000), 1)[0]
    p = images / 255
    assert set(np.unique(drawn)) == {0, 1}
    assert np.all(np.abs(drawn.mean(axis=0) - p) <= 5 * np.sqrt(p * (1 - p) / 1000))


def test_the_batches_of_one_iteration_do_not_share_their_draws():
    same = np.full((16, 8, 8, 1), 128, np.uint8)
    first, second = load(same, batch_size=8, binarise=True)
    assert not np.array_equal(first, second)


def test_held_out_images_are_one_fixed_draw(tmp_path):
    file = tmp_path / "images.npz"
    np.savez(file, train=grey(), validation=grey(7), test=grey(9))
    for split, n in (("validation", 7), ("test", 9)):
        batches = load(file, split, batch_size=4, seed=3, binarise=True)
        for drawn in iterations(batches, 2):
            np.testing.assert_array_equal(drawn, binarised(grey(n), seed=3))
    first, second = iterations(load(file, "train+validation", batch_size=4, binarise=True), 2)
    assert len(first) == 27 and not np.array_equal(first, second)


@pytest.mark.parametrize("kind", ["image", "tuple", "dict"])
def test_a_pipeline_of_the_user_is_reduced_to_its_images(kind):
    images, labels = grey(), np.arange(20)
    elements = {"image": images, "tuple": (images, labels)}.get(
        kind, {"image": images, "label": labels}
    )
    pipeline = tf.data.Dataset.from_tensor_slices(elements)
    np.testing.assert_array_equal(iterations(load(pipeline, batch_size=8), 1)[0], images)
    (drawn,) = iterations(load(pipeline, batch_size=8, shuffle=True, binarise=True), 1)
    assert set(np.unique(drawn)) == {0, 1}


def test_a_pipeline_of_unknown_length_can_be_shuffled():
    pipeline = tf.data.Dataset.from_tensor_slices(grey()).filter(lambda image: True)
    (images,) = iterations(load(pipeline, batch_size=8, shuffle=True), 1)
    assert sorted(x.tobytes() for x in images) == sorted(x.tobytes() for x in grey())


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data feeds TensorFlow")
def test_fit_takes_the_pipeline():
    class Mean(keras.Model):
        def __init__(self):
            super().__init__()
            self.scale = self.add_weight(name="scale")
            self.compile(optimizer="sgd")

        def call(self, images):
            return self.scale * keras.ops.cast(images, "float32")

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return keras.ops.mean(y_pred)

    batches = load(grey(), batch_size=8, shuffle=True, binarise=True)
    validation = load(grey(), batch_size=8)
    history = Mean().fit(batches, validation_data=validation, epochs=2, shuffle=False, verbose=0)
    assert len(history.history["val_loss"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch_size": 0}, "an integer, at least 1. Received: batch_size=0"),
        ({"batch_size": "8"}, "Received: batch_size='8'"),
        ({"split": "all"}, "must be one of 'train'.*Received: split='all'"),
        ({"image_shape": (4, 4, 3)}, r"`image_shape` \(4, 4, 3\).*Received: .*\(4, 4, 1\)"),
        ({"source": np.ones((4, 2, 2, 1), np.uint8), "binarise": True}, "binary already"),
        ({"source": "mnits"}, "name of a data set.*mnist_static.*'mnits'"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=re.compile(words, re.DOTALL)):
        load(**{"source": grey()} | arguments)


@pytest.mark.parametrize(
    ("elements", "arguments", "words"),
    [
        (grey() / 255, {}, "single uint8 images.*float64"),
        (grey()[..., 0], {}, r"single uint8 images.*shape=\(4, 4\)"),
        ({"picture": grey()}, {}, 'must have an "image". Received: keys picture'),
        (grey(), {"split": "test"}, "no named splits.*Received: split='test'"),
        (grey(), {"image_shape": (8, 8, 1)}, r"`image_shape` \(8, 8, 1\).*Received: .*\(4, 4, 1\)"),
    ],
)
def test_a_pipeline_that_cannot_be_used_is_refused(elements, arguments, words):
    with pytest.raises(ValueError, match=re.compile(words, re.DOTALL)):
        load(tf.data.Dataset.from_tensor_slices(elements), **arguments)

import re

import keras
import numpy as np
import pytest

from vlae_tf.datasets import ImageBatches

pytestmark = pytest.mark.jax


def numbered(n):
    """Images that can be told apart: image i is full of i."""
    return np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 2, 3, 1)).copy()


def grey(n=20):
    return np.random.default_rng(0).integers(0, 256, (n, 4, 4, 1), np.uint8)


def epochs(batches, n):
    """All images of n epochs, asked for as Keras does."""
    result = []
    for _ in range(n):
        batches.on_epoch_begin()
        result.append(np.concatenate([x for (x,) in batches]))
        batches.on_epoch_end()
    return result


class Recorder(keras.Model):
    """Keeps the images that `fit` and `evaluate` really give to a model."""

    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(name="scale")
        self.images = []
        self.built = True
        self.compile(optimizer="sgd", run_eagerly=True)

    def call(self, images):
        return self.scale * keras.ops.cast(images, "float32")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        self.images.append(keras.ops.convert_to_numpy(x))
        return keras.ops.mean(y_pred)


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_has_every_image_once(shuffle):
    batches = ImageBatches(numbered(10), batch_size=4, shuffle=shuffle)
    assert [x.shape for (x,) in batches] == [(4, 2, 3, 1), (4, 2, 3, 1), (2, 2, 3, 1)]
    for images in epochs(batches, 3):
        order = images[:, 0, 0, 0]
        assert images.dtype == np.uint8
        assert sorted(order) == list(range(10))
        assert (list(order) == list(range(10))) != shuffle


def test_drop_remainder_leaves_out_the_last_batch():
    batches = ImageBatches(numbered(10), batch_size=4, drop_remainder=True)
    assert [len(x) for (x,) in batches] == [4, 4]


def test_the_order_differs_between_epochs_and_between_seeds():
    first, second = epochs(ImageBatches(numbered(30), 8), 2)
    (other,) = epochs(ImageBatches(numbered(30), 8, seed=1), 1)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_binarisation_is_drawn_afresh_in_each_epoch_with_the_intensity_as_its_mean():
    images = grey()
    drawn = epochs(ImageBatches(images, 8, shuffle=False, binarise=True), 1000)
    assert not np.array_equal(drawn[0], drawn[1])
    assert set(np.unique(drawn)) == {0, 1}
    mean = np.mean(drawn, axis=0)
    # Five standard deviations of a mean of 1000 draws; certain pixels have none.
    p = images / 255
    assert np.all(np.abs(mean - p) <= 5 * np.sqrt(p * (1 - p) / 1000))


def test_batches_of_an_epoch_do_not_share_their_draws():
    same = np.full((16, 8, 8, 1), 128, np.uint8)
    (first,), (second,) = ImageBatches(same, 8, binarise=True)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("binarise", [False, True])
def test_resumed_batches_equal_uninterrupted_ones(binarise):
    arguments = dict(images=grey(), batch_size=8, binarise=binarise, seed=3)
    whole = epochs(ImageBatches(**arguments), 4)
    resumed = epochs(ImageBatches(**arguments, initial_epoch=2), 2)
    np.testing.assert_array_equal(whole[2:], resumed)


def test_a_batch_does_not_depend_on_those_asked_for_before():
    arguments = dict(images=grey(), batch_size=8, binarise=True)
    forwards = [x for (x,) in ImageBatches(**arguments)]
    batches = ImageBatches(**arguments)
    backwards = [batches[i][0] for i in (2, 1, 0)]
    for x, y in zip(forwards, reversed(backwards), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_resumed_fit_sees_the_batches_of_an_uninterrupted_one(workers):
    arguments = dict(images=grey(), batch_size=8, binarise=True, workers=workers)
    expected = np.concatenate(epochs(ImageBatches(**arguments), 3))

    whole = Recorder()
    whole.fit(ImageBatches(**arguments), epochs=3, shuffle=False, verbose=0)
    np.testing.assert_array_equal(np.concatenate(whole.images), expected)  # epoch 0 is the first

    resumed = Recorder()
    batches = ImageBatches(**arguments, initial_epoch=2)
    resumed.fit(batches, initial_epoch=2, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_array_equal(np.concatenate(resumed.images), expected[40:])


def test_fit_does_not_advance_its_validation_images():
    training, validation = numbered(8), 100 + numbered(6)
    model = Recorder()
    model.fit(
        ImageBatches(training, 4),
        validation_data=ImageBatches(validation, 4, shuffle=False),
        epochs=2,
        shuffle=False,
        verbose=0,
    )
    seen = [x for x in model.images if x.min() >= 100]
    np.testing.assert_array_equal(np.concatenate(seen), np.concatenate([validation, validation]))


needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs TensorFlow"
)


@needs_tensorflow
@pytest.mark.parametrize(("n", "size"), [(20, 8), (16, 8), (5, 8)])
def test_tensorflow_gets_the_same_batches(n, size):
    arguments = dict(images=grey(n), batch_size=size, binarise=True, drop_remainder=size < n)
    expected = np.concatenate(epochs(ImageBatches(**arguments, initial_epoch=1), 3))
    batches = ImageBatches(**arguments, initial_epoch=1)
    dataset = batches.to_tf_dataset()
    assert dataset.element_spec.shape == (min(n, size), 4, 4, 1)
    drawn = dataset.take(3 * batches.num_batches).as_numpy_iterator()
    np.testing.assert_array_equal(np.concatenate(list(drawn)), expected)


@needs_tensorflow
def test_tensorflow_gets_no_batches_of_two_sizes():
    with pytest.raises(ValueError, match="`drop_remainder` must be set.*Received: batch_size=4"):
        ImageBatches(numbered(10), 4).to_tf_dataset()


@pytest.mark.parametrize("index", [-1, 3])
def test_a_batch_that_is_not_there_is_an_error(index):
    with pytest.raises(IndexError, match=rf"0 <= index < 3.*Received: index={index}"):
        ImageBatches(numbered(10), 4)[index]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": [[1]]}, "`images` must be a NumPy array.*Received: images of shape list"),
        ({"images": np.zeros((4, 2, 2), np.uint8)}, r"\(n, height, width, channels\).*\(4, 2, 2\)"),
        ({"images": np.zeros((4, 2, 2, 1))}, "must be uint8.*Received: images of dtype float64"),
        ({"images": np.zeros((0, 2, 2, 1), np.uint8)}, "`images` is empty"),
        ({"batch_size": 0}, "at least 1. Received: batch_size=0"),
        ({"batch_size": 2.5}, "`batch_size` must be an integer.*Received: batch_size=2.5"),
        ({"seed": -1}, "at least 0. Received: seed=-1"),
        ({"initial_epoch": -2}, "at least 0. Received: initial_epoch=-2"),
        ({"batch_size": 5, "drop_remainder": True}, "at most the number of images, 4"),
        ({"images": np.ones((4, 2, 2, 1), np.uint8), "binarise": True}, "binary already"),
    ],
)
def test_bad_arguments_are_named(change, words):
    arguments = dict(images=np.zeros((4, 2, 2, 1), np.uint8), batch_size=2)
    with pytest.raises(ValueError, match=re.compile(words, re.DOTALL)):
        ImageBatches(**arguments | change)

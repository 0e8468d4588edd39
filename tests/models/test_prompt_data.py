"""The datasets that reach Keras' steps: none waits for TensorFlow's autotuner, and the arguments of
`fit` keep their meaning."""

import keras
import numpy as np
import pytest

from vlae_tf.datasets import ImageBatches, array_batches, load, untuned
from vlae_tf.models.image_model import ImageModel

tf = pytest.importorskip("tensorflow")
trainer = pytest.importorskip("keras.src.backend.tensorflow.trainer")
if keras.backend.backend() != "tensorflow":
    pytest.skip("reads by tf.data", allow_module_level=True)


class Mean(ImageModel):
    """A model of one weight, and the images that its steps were given."""

    image_shape, levels = (2, 2, 1), 256

    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(shape=(), initializer="zeros")
        self.built = True
        self.compile("sgd", run_eagerly=True)
        self.seen = []

    def call(self, images, training=False):
        self.seen.append(np.asarray(images))
        return tf.cast(images, tf.float32) * self.weight

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        return tf.reduce_mean((y_pred - 1.0) ** 2)


def numbered(n, first=0):
    return np.broadcast_to(
        np.arange(first, first + n, dtype="uint8")[:, None, None, None], (n, 2, 2, 1)
    )


@pytest.fixture
def read(monkeypatch):
    """The datasets that Keras' loops run over."""
    datasets = []

    class Watched(trainer.TFEpochIterator):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            datasets.append(self._distributed_dataset)

    monkeypatch.setattr(trainer, "TFEpochIterator", Watched)
    return datasets


KINDS = {
    "array": numbered(10),
    "tensor": tf.constant(numbered(10)),
    "dict": {"image": numbered(10)},
    "dataset": tf.data.Dataset.from_tensor_slices(numbered(10)).batch(4),
    "dataset with labels": tf.data.Dataset.from_tensors(({"image": numbered(10)}, 3)),
    "batches": ImageBatches(numbered(10), 4),
}


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("kind", KINDS)
def test_no_loop_of_keras_waits_for_the_autotuner(read, kind):
    data, model = KINDS[kind], Mean()
    model.fit(data, validation_data=data, epochs=2, verbose=0)
    model.evaluate(data, verbose=0)
    model.predict(data, verbose=0)
    assert len(read) == 4  # of `fit` and its validation, of `evaluate` and of `predict`
    assert all(dataset.options().autotune.enabled is False for dataset in read)
    assert sum(len(images) for images in model.seen) == 6 * 10


def test_our_own_datasets_do_not_wait_for_it_either():
    for dataset in (load(numbered(4), batch_size=2), ImageBatches(numbered(4), 2).to_tf_dataset()):
        assert dataset.options().autotune.enabled is False


def test_other_options_of_a_dataset_stay():
    options = tf.data.Options()
    options.deterministic = False
    assert untuned(tf.data.Dataset.range(3).with_options(options)).options().deterministic is False


# === The arguments of `fit` keep their meaning ===


def sizes(model):
    return [len(images) for images in model.seen]


def test_sizes_of_batches(read):
    model, val = Mean(), numbered(6)
    model.fit(numbered(10), None, 4, validation_data=(val, val), validation_batch_size=5, verbose=0)
    assert sizes(model) == [4, 4, 2, 5, 1]


def test_an_array_is_shuffled_by_default_and_only_then(read):
    model = Mean()
    model.fit(numbered(30), batch_size=30, verbose=0)
    model.fit(numbered(30), batch_size=30, shuffle=False, verbose=0)
    first, second = (list(images[:, 0, 0, 0]) for images in model.seen)
    assert sorted(first) == second == list(range(30)) != first


def test_each_epoch_has_an_order_of_its_own_that_the_seed_repeats(read):
    orders = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        model = Mean()
        model.fit(numbered(30), batch_size=30, epochs=2, verbose=0)
        orders.append([list(images[:, 0, 0, 0]) for images in model.seen])
    assert orders[0] == orders[1] and orders[0][0] != orders[0][1]


@pytest.mark.parametrize(("n", "size"), [(8, 4), (10, None)])
def test_a_batch_has_a_known_size_where_all_are_alike(n, size):
    assert array_batches(numbered(n), 4).element_spec.shape == (size, 2, 2, 1)


def test_validation_split_takes_the_last_images(read):
    model = Mean()
    model.fit(numbered(10), validation_split=0.2, batch_size=8, verbose=0)
    trained, validated = (sorted(images[:, 0, 0, 0]) for images in model.seen)
    assert trained == list(range(8)) and validated == [8, 9]
    with pytest.raises(ValueError, match="only supported"):
        model.fit(load(numbered(10), batch_size=2), validation_split=0.2, verbose=0)


def test_steps_limit_an_epoch(read):
    model, data = Mean(), load(numbered(10), batch_size=2)
    model.fit(numbered(10), steps_per_epoch=2, verbose=0)
    model.fit(
        data, steps_per_epoch=2, validation_data=data, validation_steps=3, shuffle=False, verbose=0
    )
    model.evaluate(data, steps=1, verbose=0)
    model.predict(data, steps=1, verbose=0)
    assert sizes(model) == [5, 5, 2, 2, 2, 2, 2, 2, 2]

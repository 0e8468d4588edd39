import functools
import os
from pathlib import Path

import numpy as np
import pytest

from vlae_tf.datasets import DATASETS, binarised, load, load_arrays

pytestmark = pytest.mark.slow

tfds = pytest.importorskip("tensorflow_datasets")

SPLITS = ("train", "validation", "test")


@functools.cache
def prepared(name, split):
    """Real images, read once for all tests of this file."""
    folder = Path(os.environ["TFDS_DATA_DIR"], DATASETS[name].tfds_name)
    if not folder.exists():
        pytest.skip(f"{name} is not prepared")
    return load_arrays(name, split)


def rows(images):
    return {image.tobytes() for image in images}


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist_static", "mnist_dynamic", "omniglot"])
def test_splits_are_disjoint_and_have_their_published_sizes(name):
    parts = {split: prepared(name, split) for split in SPLITS}
    assert {split: len(images) for split, images in parts.items()} == DATASETS[name].sizes
    for images in parts.values():
        assert images.shape[1:] == DATASETS[name].image_shape and images.dtype == np.uint8
    train, validation, test = map(rows, parts.values())
    assert not train & validation and not train & test and not validation & test


@pytest.mark.data
def test_train_and_validation_together_are_both_and_nothing_else():
    for name in ("mnist_static", "omniglot"):
        both = prepared(name, "train+validation")
        parts = [prepared(name, "train"), prepared(name, "validation")]
        np.testing.assert_array_equal(both, np.concatenate(parts))


@pytest.mark.data
def test_static_pixels_are_binary_and_dynamic_ones_intensities():
    assert set(np.unique(prepared("mnist_static", "test"))) == {0, 1}
    for name in ("mnist_dynamic", "omniglot"):
        assert len(np.unique(prepared(name, "test"))) > 100
        assert prepared(name, "test").max() == 255


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist_static", "mnist_dynamic", "omniglot"])
def test_strokes_are_light_on_a_dark_ground(name):
    images = prepared(name, "test")
    assert (images[:, 0] > 0).mean() < 0.05  # the uppermost row is background
    assert 0.02 < (images > images.max() / 2).mean() < 0.2


@pytest.mark.data
def test_static_images_are_a_binarisation_of_the_dynamic_ones():
    # The same test digits, perhaps in another order: equal pixels on average over 7,840,000 draws.
    static, dynamic = prepared("mnist_static", "test"), prepared("mnist_dynamic", "test")
    assert static.mean() == pytest.approx(dynamic.mean() / 255, abs=2e-4)


@pytest.mark.data
def test_cifar10_is_colour():
    validation, test = prepared("cifar10", "validation"), prepared("cifar10", "test")
    assert validation.shape == (5000, 32, 32, 3) and test.shape[1:] == (32, 32, 3)
    assert (validation.min(), validation.max()) == (0, 255)
    assert np.any(validation[..., 0] != validation[..., 2])
    assert not rows(validation) & rows(test)


@pytest.mark.data
def test_incomplete_data_are_reported(caplog):
    prepared("cifar10", "test")  # skips where there is none
    caplog.clear()
    images = load_arrays("cifar10", "test")
    reported = f"{len(images)} of the published 10000 images" in caplog.text
    assert reported == (len(images) != 10_000)


@pytest.mark.data
def test_a_dynamic_test_set_is_one_fixed_draw():
    expected = binarised(prepared("mnist_dynamic", "test"), seed=5)
    for _ in range(2):
        batches = load("mnist_dynamic", "test", batch_size=5000, seed=5)
        np.testing.assert_array_equal(np.concatenate(list(batches.as_numpy_iterator())), expected)


@pytest.mark.data
def test_dynamic_training_images_are_drawn_afresh():
    intensities = prepared("mnist_dynamic", "validation")
    batches = load(intensities, batch_size=1000, binarise=True)
    first, second = (np.concatenate(list(batches.as_numpy_iterator())) for _ in range(2))
    assert set(np.unique(first)) == {0, 1}
    assert not np.array_equal(first, second)
    assert first.mean() == pytest.approx(intensities.mean() / 255, abs=1e-3)


# The real Fashion-MNIST is 30 MB: TFDS' mock data have its shapes and types.
@pytest.mark.parametrize("split", [*SPLITS, "train+validation"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fashion_mnist(split, tmp_path):
    with tfds.testing.mock_data(num_examples=7, data_dir=tmp_path):
        images = load_arrays("fashion_mnist", split, tmp_path)
        assert images.shape == (7, 28, 28, 1) and images.dtype == np.uint8
        (batch,) = load("fashion_mnist", split, batch_size=8, data_dir=tmp_path)
        assert batch.shape == (7, 28, 28, 1) and set(np.unique(batch)) == {0, 1}


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_missing_data_say_how_to_get_them(name, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        load_arrays(name, "train", tmp_path)
    assert f"python -m vlae_tf.datasets {name} --data-dir {tmp_path}" in str(error.value)
    assert "TFDS_DATA_DIR" in str(error.value)
    assert not list(tmp_path.iterdir()), "nothing may be downloaded unasked"


def test_a_named_set_has_a_shape_of_its_own():
    words = r"mnist_static must have the `image_shape` \(32, 32, 1\).*Received: .*\(28, 28, 1\)"
    with pytest.raises(ValueError, match=words):
        load_arrays("mnist_static", image_shape=(32, 32, 1))

import re

import numpy as np
import pytest
from PIL import Image

from vlae_tf.datasets import load_arrays, thresholded
from vlae_tf.pictures import read_picture

pytestmark = pytest.mark.jax


def random_images(n=6, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 5, 4, channels), np.uint8)


def save(folder, images, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(folder / f"{i}{suffix}")
    return folder


def test_an_array_is_all_training_images():
    images = random_images()
    np.testing.assert_array_equal(load_arrays(images), images)
    words = "`split` must be one of those of the array, train.*Received: split='test'"
    with pytest.raises(ValueError, match=words):
        load_arrays(images, "test")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_pictures_is_read_in_the_order_of_their_names(tmp_path, channels):
    images = random_images(channels=channels)
    save(tmp_path / "a", images[:3])
    save(tmp_path / "b", images[3:], ".PNG")
    (tmp_path / "notes.txt").write_text("not a picture")
    np.testing.assert_array_equal(load_arrays(tmp_path), images)
    np.testing.assert_array_equal(load_arrays(str(tmp_path)), images)


def test_jpg_pictures_are_read(tmp_path):
    save(tmp_path, np.full((2, 8, 8, 1), 200, np.uint8), ".jpg")
    images = load_arrays(tmp_path)
    assert images.shape == (2, 8, 8, 1)
    np.testing.assert_allclose(images.astype(int), 200, atol=2)


def test_pictures_are_resized_and_turned_grey_on_request(tmp_path):
    halves = np.zeros((1, 8, 8, 3), np.uint8)
    halves[:, :, 4:] = 255
    save(tmp_path / "large", halves)
    save(tmp_path / "small", halves[:, ::2, ::2])
    images = load_arrays(tmp_path, image_shape=(4, 4, 1))
    assert images.shape == (2, 4, 4, 1)
    assert np.all(images[:, :, 0] == 0) and np.all(images[:, :, 3] == 255)


def test_subfolders_are_splits(tmp_path):
    images = random_images()
    parts = {"train": images[:3], "validation": images[3:5], "test": images[5:]}
    for part, part_images in parts.items():
        save(tmp_path / part, part_images)
    for part, part_images in parts.items():
        np.testing.assert_array_equal(load_arrays(tmp_path, part), part_images)
    np.testing.assert_array_equal(load_arrays(tmp_path, "train+validation"), images[:5])


def test_arrays_of_an_npz_file_are_splits(tmp_path):
    images = random_images()
    file = tmp_path / "images.npz"
    np.savez(file, train=images[:3], validation=images[3:5], labels=np.arange(3))
    np.testing.assert_array_equal(load_arrays(file), images[:3])
    np.testing.assert_array_equal(load_arrays(file, "train+validation"), images[:5])
    words = "of .*images.npz, train, validation, .*Received: split='test'"
    with pytest.raises(ValueError, match=words):
        load_arrays(file, "test")


@pytest.mark.parametrize("write", [np.save, np.savez, np.savez_compressed])
def test_a_file_with_one_array_is_all_training_images(tmp_path, write):
    images = random_images()
    file = tmp_path / ("images.npy" if write is np.save else "images.npz")
    write(file, images)
    np.testing.assert_array_equal(load_arrays(file), images)


def test_a_fixed_draw_is_made_on_request():
    images = random_images()
    drawn = load_arrays(images, binarise=True, seed=1)
    assert set(np.unique(drawn)) == {0, 1}
    np.testing.assert_array_equal(drawn, load_arrays(images, binarise=True, seed=1))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("no_such_set", "`source` must be the name of a data set.*'no_such_set', which is no file"),
        ("minst_static", "is no file or folder; did you mean 'mnist_static'?"),
        (7, "Received: source of type int"),
        (np.zeros((3, 4, 4), np.uint8), r"\(n, height, width, channels\).*\(3, 4, 4\)"),
        (np.zeros((3, 4, 4, 1)), "must be uint8.*floats in .0, 1..*dtype float64"),
        (np.zeros((0, 4, 4, 1), np.uint8), "`source` is empty"),
    ],
)
def test_a_source_that_cannot_be_used_is_named(source, words):
    with pytest.raises(ValueError, match=re.compile(words, re.DOTALL)):
        load_arrays(source)


def test_an_unknown_split_lists_those_known():
    with pytest.raises(ValueError, match="'train', 'validation', 'test'.*Received: split='valid'"):
        load_arrays(random_images(), "valid")


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="folder with pictures.*there are none"):
        load_arrays(tmp_path)


def test_pictures_of_different_sizes_are_named(tmp_path):
    save(tmp_path, [random_images()[0], np.zeros((9, 9, 1), np.uint8)])
    with pytest.raises(ValueError, match=r"one shape.*0.png of shape \(5, 4, 1\).*1.png of shape"):
        load_arrays(tmp_path)


@pytest.mark.parametrize("keep", [0, 60])
def test_an_unreadable_picture_is_named(tmp_path, keep):
    save(tmp_path, random_images(2))
    broken = tmp_path / "1.png"
    broken.write_bytes(broken.read_bytes()[:keep])
    with pytest.raises(ValueError, match="1.png cannot be read as a picture"):
        load_arrays(tmp_path)


@pytest.mark.parametrize("name", ["images.npy", "images.npz"])
def test_a_truncated_file_is_named(tmp_path, name):
    file = tmp_path / name
    np.savez(file, train=random_images()) if name.endswith("z") else np.save(file, random_images())
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match=f"{name} cannot be read as a NumPy file"):
        load_arrays(file)


def test_more_pixels_than_pillow_takes_are_refused(tmp_path, monkeypatch):
    Image.new("L", (12, 10), 7).save(tmp_path / "large.png")
    # Pillow itself refuses twice as many, and warns in between.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match="large.png .*12 x 10 pixels are more than 100"):
        read_picture(tmp_path / "large.png")


def test_a_file_of_pickled_objects_is_refused(tmp_path):
    file = tmp_path / "images.npy"
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be read as a NumPy file"):
        load_arrays(file)


def test_an_npz_file_without_splits_lists_what_it_has(tmp_path):
    file = tmp_path / "images.npz"
    np.savez(file, a=random_images(), b=random_images())
    with pytest.raises(ValueError, match="arrays named train.*Received: arrays named a, b"):
        load_arrays(file)


def test_splits_of_different_shapes_cannot_be_joined(tmp_path):
    file = tmp_path / "images.npz"
    np.savez(file, train=random_images(), validation=random_images(channels=3))
    with pytest.raises(ValueError, match="images of one shape"):
        load_arrays(file, "train+validation")


def test_another_file_is_refused(tmp_path):
    file = tmp_path / "images.csv"
    file.write_text("1,2")
    with pytest.raises(ValueError, match="numpy.save.*Received: source='.*images.csv'"):
        load_arrays(file)


@pytest.mark.parametrize(
    ("image_shape", "words"),
    [
        ((5, 4, 3), r"array must have the `image_shape` \(5, 4, 3\). Received: .*\(5, 4, 1\)"),
        ((5, 4), r"integers, \(height, width, channels\).*Received: image_shape=\(5, 4\)"),
        ((5, 4, 2), "with 1 or 3 channels"),
    ],
)
def test_a_wrong_image_shape_is_an_error(image_shape, words):
    with pytest.raises(ValueError, match=words):
        load_arrays(random_images(), image_shape=image_shape)


def test_a_file_of_images_of_another_shape_is_named(tmp_path):
    np.save(tmp_path / "small.npy", random_images())
    with pytest.raises(ValueError, match=r"images of .*small.npy must have .*\(8, 8, 1\)"):
        load_arrays(tmp_path / "small.npy", image_shape=(8, 8, 1))


@pytest.mark.parametrize("images", [np.full((1, 4, 4, 1), 0.95), np.full((1, 4, 4, 1), -5)])
def test_what_is_no_intensity_has_no_threshold(images):
    with pytest.raises(ValueError, match="`images` must be intensities 0..255"):
        thresholded(images)

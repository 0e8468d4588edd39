"""Splits, labels and files of arrays as they are called and made elsewhere."""

import gzip
import logging
import os
import struct

import numpy as np
import pytest
from PIL import Image

from vlae_tf.datasets import load, load_arrays, load_labels
from vlae_tf.pictures.splits import SPLITS

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 1), np.uint8)


def save(folder, images, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(folder / f"{i}{suffix}")
    return folder


# === Splits ===

USUAL = [
    ("train", "validation", "test"),
    ("training", "valid", "testing"),
    ("Train", "Val", "Test"),
    ("TRAIN", "DEV", "TEST"),
]


@pytest.mark.parametrize("names", USUAL, ids="-".join)
def test_usual_names_of_folders_are_splits(tmp_path, names):
    for name, part in zip(names, np.split(IMAGES, 3), strict=True):
        save(tmp_path / name / "a class", part)
    for split, part in zip(SPLITS, np.split(IMAGES, 3), strict=True):
        np.testing.assert_array_equal(load_arrays(tmp_path, split), part)


@pytest.mark.parametrize(
    "form", ["{}", "x_{}", "{}_images", "{}_x"], ids=["plain", "keras", "medmnist", "x last"]
)
@pytest.mark.parametrize("names", USUAL, ids="-".join)
def test_usual_names_of_arrays_are_splits(tmp_path, names, form):
    file = tmp_path / "images.npz"
    parts = np.split(IMAGES, 3)
    np.savez(file, **{form.format(n): p for n, p in zip(names, parts, strict=True)})
    for split, part in zip(SPLITS, parts, strict=True):
        np.testing.assert_array_equal(load_arrays(file, split), part)


@pytest.mark.parametrize("name", ["trainA", "testB", "test_2", "val2017", "TRAIN-clean"])
def test_a_name_that_might_be_a_split_is_refused(tmp_path, name):
    save(tmp_path / "folder" / name, IMAGES)
    np.savez(tmp_path / "file.npz", **{name: IMAGES})
    for source in (tmp_path / "folder", tmp_path / "file.npz"):
        with pytest.raises(ValueError, match=f"{source.name} must have splits.*Received: '{name}'"):
            load_arrays(source)


def test_two_names_of_one_split_are_refused(tmp_path):
    np.savez(tmp_path / "file.npz", train=IMAGES, training=IMAGES)
    with pytest.raises(ValueError, match="one 'train'. Received: 'train' and 'training'"):
        load_arrays(tmp_path / "file.npz")


@pytest.mark.parametrize("name", ["trains", "testament", "valley", "developers", "cats"])
def test_other_words_are_classes(tmp_path, name):
    save(tmp_path / name, IMAGES)
    np.testing.assert_array_equal(load_arrays(tmp_path), IMAGES)


def test_a_fraction_is_held_out_by_its_seed():
    images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)

    def held_out(seed):
        return load_arrays(images, "validation", validation_fraction=0.25, seed=seed)

    train = load_arrays(images, "train", validation_fraction=0.25, seed=1)
    assert (len(train), len(held_out(1))) == (15, 5)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out(1)]), 0), images)
    np.testing.assert_array_equal(held_out(1), held_out(1))
    assert (held_out(1) != held_out(2)).any()
    both = load_arrays(images, "train+validation", validation_fraction=0.25, seed=1)
    np.testing.assert_array_equal(both, images)


def test_tf_data_holds_out_the_same():
    pytest.importorskip("tensorflow")
    given = {"validation_fraction": 0.5, "seed": 3}
    (batch,) = load(IMAGES, "validation", batch_size=3, **given)
    np.testing.assert_array_equal(batch, load_arrays(IMAGES, "validation", **given))


@pytest.mark.parametrize(
    ("source", "fraction", "words"),
    [
        (IMAGES, 1.0, "less than 1"),
        (IMAGES[:1], 0.5, "less, to leave some"),
        ("mnist_static", 0.5, "0 for mnist_static, which is split"),
    ],
)
def test_a_fraction_that_cannot_be_held_out_is_refused(source, fraction, words):
    with pytest.raises(ValueError, match=f"`validation_fraction` must be .*{words}"):
        load_arrays(source, validation_fraction=fraction)


def test_a_source_with_validation_images_keeps_them(tmp_path):
    np.savez(tmp_path / "file.npz", train=IMAGES, val=IMAGES)
    with pytest.raises(ValueError, match="0 for a source that is split"):
        load_arrays(tmp_path / "file.npz", validation_fraction=0.5)


# === Labels ===


def test_class_folders_are_labels(tmp_path):
    save(tmp_path / "Train" / "dog", IMAGES[:2])
    save(tmp_path / "Train" / "cat", IMAGES[2:3])
    save(tmp_path / "Test" / "dog", IMAGES[3:])
    np.testing.assert_array_equal(load_labels(tmp_path), [0, 1, 1])
    np.testing.assert_array_equal(load_arrays(tmp_path), IMAGES[[2, 0, 1]])
    # Numbers of all splits: there is no cat here.
    np.testing.assert_array_equal(load_labels(tmp_path, "test"), [1, 1, 1])


@pytest.mark.parametrize("names", [("y_train", "y_test"), ("train_labels", "test_labels")])
def test_arrays_of_labels_go_with_those_of_images(tmp_path, names):
    file = tmp_path / "file.npz"
    labels = {name: np.arange(3)[:, None] + i for i, name in enumerate(names)}
    np.savez(file, x_train=IMAGES[:3], x_test=IMAGES[3:], **labels)
    np.testing.assert_array_equal(load_labels(file), [0, 1, 2])
    np.testing.assert_array_equal(load_labels(file, "test"), [1, 2, 3])


def test_held_out_labels_go_with_held_out_images(tmp_path):
    file = tmp_path / "file.npz"
    np.savez(file, images=IMAGES, labels=IMAGES[:, 0, 0, 0])
    for split in ("train", "validation"):
        given = {"validation_fraction": 0.5, "seed": 1}
        images = load_arrays(file, split, **given)
        np.testing.assert_array_equal(load_labels(file, split, **given), images[:, 0, 0, 0])


def test_no_classes_are_said(tmp_path):
    save(tmp_path, IMAGES)
    with pytest.raises(ValueError, match="`source` must have classes: a subfolder for each"):
        load_labels(tmp_path)


# === Folders ===


def test_litter_is_left_out_and_other_files_are_counted(tmp_path, caplog):
    save(tmp_path, IMAGES)
    save(tmp_path / "__MACOSX", IMAGES)
    save(tmp_path / ".ipynb_checkpoints", IMAGES)
    (tmp_path / "._0.png").write_bytes(b"resource fork")
    for name in ("a.txt", "b.txt", "c.svg"):
        (tmp_path / name).write_text("no picture")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(load_arrays(tmp_path), IMAGES)
    assert "no pictures: 1 .svg, 2 .txt" in caplog.text


def test_folders_beside_the_splits_are_told(tmp_path, caplog):
    save(tmp_path / "train", IMAGES)
    save(tmp_path / "extra", IMAGES)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(load_arrays(tmp_path), IMAGES)
    assert "left out extra beside the splits" in caplog.text


def test_links_are_followed_and_may_lead_in_a_circle(tmp_path):
    save(tmp_path / "elsewhere", IMAGES)
    folder = tmp_path / "folder"
    folder.mkdir()
    os.symlink(tmp_path / "elsewhere", folder / "a")
    os.symlink(folder, folder / "b")
    np.testing.assert_array_equal(load_arrays(folder), IMAGES)


def test_one_picture_is_a_source(tmp_path):
    save(tmp_path, IMAGES[:1])
    np.testing.assert_array_equal(load_arrays(tmp_path / "0.png"), IMAGES[:1])


# === Arrays ===


def test_grey_images_need_no_axis_of_channels():
    np.testing.assert_array_equal(load_arrays(IMAGES.repeat(2, 2)[..., 0]), IMAGES.repeat(2, 2))


def test_booleans_are_zeros_and_ones():
    np.testing.assert_array_equal(load_arrays(IMAGES > 99), (IMAGES > 99).astype("uint8"))


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((4, 3, 8, 8), "np.moveaxis(images, 1, -1)"), ((8, 8, 3, 4), "np.moveaxis(images, -1, 0)")],
)
def test_channels_elsewhere_are_refused_with_the_way_round(shape, hint):
    images = np.zeros(shape, "uint8")
    with pytest.raises(ValueError, match="channels last") as error:
        load_arrays(images)
    assert f"`{hint}`" in str(error.value)
    turned = eval(hint, {"np": np, "images": images})
    assert load_arrays(turned).shape == (4, 8, 8, 3)


# === Files of arrays ===


def idx(array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write_mat(path, **arrays):
    from scipy.io import savemat

    savemat(path, arrays, do_compression=True)


def write_hdf5(path, **arrays):
    import h5py

    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("train-images-idx3-ubyte", lambda path, images: path.write_bytes(idx(images))),
        ("images.idx.gz", lambda path, images: path.write_bytes(gzip.compress(idx(images)))),
        ("images.mat", lambda path, images: write_mat(path, X=images)),
        ("images.h5", lambda path, images: write_hdf5(path, images=images)),
        ("images.npy", np.save),
        ("images.npz", np.savez_compressed),
    ],
)
def test_files_of_arrays_are_read(tmp_path, name, write):
    images = IMAGES.repeat(2, axis=2)
    write(tmp_path / name, images[..., 0])
    np.testing.assert_array_equal(load_arrays(tmp_path / name), images)


@pytest.mark.parametrize(
    ("name", "write"), [("file.mat", write_mat), ("file.h5", write_hdf5), ("file.npz", np.savez)]
)
def test_files_may_have_splits_and_labels(tmp_path, name, write):
    path = tmp_path / name
    labels = {"y_train": np.arange(4), "y_test": np.arange(2)}
    write(path, x_train=IMAGES[:4], x_test=IMAGES[4:], **labels)
    np.testing.assert_array_equal(load_arrays(path, "test"), IMAGES[4:])
    np.testing.assert_array_equal(load_labels(path), np.arange(4))


def test_a_parquet_file_has_pictures_and_classes(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    save(tmp_path, IMAGES)
    data = [(tmp_path / f"{i}.png").read_bytes() for i in range(6)]
    table = pyarrow.table({"image": data, "label": [3, 1, 2, 0, 1, 1]})
    parquet.write_table(table, tmp_path / "train.parquet")
    np.testing.assert_array_equal(load_arrays(tmp_path / "train.parquet"), IMAGES)
    np.testing.assert_array_equal(load_labels(tmp_path / "train.parquet"), [3, 1, 2, 0, 1, 1])


@pytest.mark.parametrize(
    "name", ["a.idx", "a.idx.gz", "a.mat", "a.h5", "a.parquet", "a.npy", "a.npz", "a.png"]
)
def test_a_file_of_another_kind_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"something else altogether")
    with pytest.raises(ValueError, match=f"{name} cannot be read as "):
        load_arrays(tmp_path / name)


def test_hdf5_that_reads_other_files_is_refused(tmp_path):
    import h5py

    (tmp_path / "secret").write_bytes(bytes(96))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (6, 4, 4), "u1", external=[(str(tmp_path / "secret"), 0, 96)])
    with pytest.raises(ValueError, match="a.h5 cannot be read.*'x' lies in other files"):
        load_arrays(tmp_path / "a.h5")


def test_a_declared_size_beyond_the_file_takes_no_memory(tmp_path):
    import h5py

    (tmp_path / "a.idx").write_bytes(struct.pack(">HBB3I", 0, 8, 3, 2**20, 2**20, 2**20))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (2**20, 2**10, 2**10), "u1", chunks=(1, 2**10, 2**10))
    np.save(tmp_path / "a.npy", IMAGES)
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data.replace(b"(6, 5, 4, 1), }    ", b"(6, 5, 4, 99999), }"))
    for name in ("a.idx", "a.h5", "a.npy"):
        with pytest.raises(ValueError, match=f"{name} cannot be read.*bytes"):
            load_arrays(tmp_path / name)

import hashlib

import numpy as np
import pytest
import scipy.io

from vlae_tf.datasets import load_arrays, prepare
from vlae_tf.datasets.__main__ import main

tfds = pytest.importorskip("tensorflow_datasets")
caltech = pytest.importorskip("vlae_tf.datasets.caltech101_silhouettes")

SIZES = {"train": 6, "val": 3, "test": 2}


def objects(part):
    """Upright pictures, object 1 and background 0, of which no two are equal."""
    rng = np.random.default_rng(len(part))
    return (rng.random((SIZES[part], 28, 28)) < 0.3).astype(np.uint8)


@pytest.fixture
def manual_dir(tmp_path, monkeypatch):
    """A folder with a small file like the original: inverted and column-major."""
    folder = tmp_path / "by_hand"
    folder.mkdir()
    file = folder / caltech.FILENAME
    content = {}
    for part in SIZES:
        rows = [(1 - image).ravel(order="F") for image in objects(part)]
        content[f"{part}_data"] = np.array(rows)
        content[f"{part}_labels"] = np.arange(1, 1 + len(rows), dtype=np.uint8)[:, None]
    scipy.io.savemat(file, content)
    known = tfds.download.checksums.UrlInfo(
        size=file.stat().st_size,
        checksum=hashlib.sha256(file.read_bytes()).hexdigest(),
        filename=caltech.FILENAME,
    )
    monkeypatch.setattr(caltech.Caltech101Silhouettes, "url_infos", {caltech.URL: known})
    return folder


def same_images(loaded, expected):
    """Whether these are the same images; TFDS stores them in an order of its own."""
    assert loaded.shape[1:] == (28, 28, 1) and loaded.dtype == np.uint8
    return sorted(x.tobytes() for x in loaded) == sorted(x.tobytes() for x in expected)


def test_images_are_upright_with_the_object_one(tmp_path, manual_dir):
    prepare("caltech101_silhouettes", tmp_path / "tfds", manual_dir)
    for split, part in (("train", "train"), ("validation", "val"), ("test", "test")):
        loaded = load_arrays("caltech101_silhouettes", split, tmp_path / "tfds")
        assert same_images(loaded, objects(part))
    both = load_arrays("caltech101_silhouettes", "train+validation", tmp_path / "tfds")
    assert same_images(both, [*objects("train"), *objects("val")])


def test_labels_begin_at_zero_and_belong_to_their_images(tmp_path, manual_dir):
    main(["caltech101_silhouettes", "--data-dir", str(tmp_path), "--manual-dir", str(manual_dir)])
    examples = caltech.Caltech101Silhouettes(data_dir=tmp_path).as_dataset(split="train")
    by_label = {int(x["label"]): x["image"].numpy()[..., 0] for x in examples}
    assert sorted(by_label) == list(range(6))
    np.testing.assert_array_equal([by_label[i] for i in range(6)], objects("train"))


def test_a_file_in_the_manual_folder_is_prepared_on_first_use(tmp_path, manual_dir, caplog):
    (tmp_path / "downloads").mkdir()
    manual_dir.rename(tmp_path / "downloads" / "manual")
    loaded = load_arrays("caltech101_silhouettes", "train", tmp_path)
    assert same_images(loaded, objects("train"))
    # TFDS would tell of what it uses itself and has deprecated.
    assert not [record for record in caplog.records if record.name == "absl"]


def test_a_damaged_file_is_refused(tmp_path, manual_dir):
    file = manual_dir / caltech.FILENAME
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(tfds.download.download_manager.NonMatchingChecksumError):
        prepare("caltech101_silhouettes", tmp_path / "tfds", manual_dir)
    assert not list((tmp_path / "tfds").glob("caltech101_silhouettes/1*"))


def test_missing_data_say_how_to_get_them(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        load_arrays("caltech101_silhouettes", "train", tmp_path)
    for words in (
        f"python -m vlae_tf.datasets caltech101_silhouettes --data-dir {tmp_path}",
        caltech.URL,
        "downloads/manual",
        "--manual-dir",
        "TFDS_DATA_DIR",
    ):
        assert words in str(error.value)

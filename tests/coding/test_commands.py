"""`vlae-tf compress` and `decompress`."""

import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.coding.make_kept import KEPT
from vlae_tf import cli
from vlae_tf.coding import Coder, ImageWriter
from vlae_tf.datasets import load_arrays

pytest.importorskip("constriction")
pytestmark = pytest.mark.usefixtures("eager")


def run(*arguments):
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def entries(tmp_path, monkeypatch):
    """A zoo of one's own, in which the kept entries are."""
    for name in ("binary", "colours"):
        shutil.copytree(KEPT / name, tmp_path / "zoo" / name)
    monkeypatch.setenv("VLAE_TF_ZOO", str(tmp_path / "zoo"))
    return tmp_path


def test_a_folder_of_pictures_goes_in_and_comes_out(entries):
    images = np.load(KEPT / "colours" / "images.npy")[:5]
    (entries / "pictures").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(entries / "pictures" / f"{number}.png")
    out = entries / "pictures.vlae"
    told = run("compress", entries / "pictures", "--entry", "colours", "--out", out)
    assert "pictures.vlae: 5; " in told and f"{out.stat().st_size} bytes" in told
    run("decompress", out, "--out", entries / "again")
    np.testing.assert_array_equal(load_arrays(entries / "again"), images)
    options = ["--index", 3, "--index", 0]
    run("decompress", out, "--out", entries / "two.npy", *options)
    np.testing.assert_array_equal(np.load(entries / "two.npy"), images[[3, 0]])
    with pytest.raises(ValueError, match="`out` must be a new folder"):
        run("decompress", out, "--out", entries / "again")
    with pytest.raises(ValueError, match="`index` must be one of the numbers of 5 images"):
        run("decompress", out, "--out", entries / "five", "--index", 5)
    names = {"zoo", "pictures", "pictures.vlae", "again", "two.npy"}
    assert {path.name for path in entries.iterdir()} == names


@pytest.mark.parametrize(
    "size, colour, words",
    [
        ((5, 4), 255, None),
        ((5, 4), 200, "were cut at 128"),
        ((9, 7), 255, "were made 4x5x1"),
        ((9, 7), 200, "were made 4x5x1 and cut at 128"),
    ],
)
def test_it_is_told_where_pictures_were_changed_first(entries, size, colour, words):
    (entries / "pictures").mkdir()
    for number in range(2):
        picture = Image.new("L", size)
        picture.putpixel((number, 3), colour)
        picture.save(entries / "pictures" / f"{number}.png")
    out = entries / "pictures.vlae"
    options = ["--entry", "binary", "--out", out, "--codebook-bits", 3]
    told = run("compress", entries / "pictures", *options)
    assert words in told if words else "were" not in told
    assert "were" not in run("compress", entries / "pictures", *options, "--lossy")


def test_nothing_beside_the_output_is_touched(entries):
    images = KEPT / "binary" / "images.npy"
    out, folder = entries / "new" / "binary.vlae", entries / "pictures"
    run("compress", images, "--entry", "binary", "--out", out, "--codebook-bits", 3)
    (entries / "writing-pictures").mkdir()
    (entries / "writing-pictures" / "precious.txt").write_text("years")
    run("decompress", out, "--out", folder)
    assert len(list(folder.iterdir())) == len(np.load(images))
    assert (entries / "writing-pictures" / "precious.txt").read_text() == "years"
    with pytest.raises(ValueError, match="`index` must name each image once"):
        run("decompress", out, "--index", 1, "--index", 1, "--out", entries / "twice")
    (entries / "folder.vlae").mkdir()
    with pytest.raises(IsADirectoryError, match="folder.vlae"):
        run("compress", images, "--entry", "binary", "--out", entries / "folder.vlae")
    assert not list(entries.rglob("writing-*.vlae"))


def test_binary_images_are_black_and_white(entries):
    images = KEPT / "binary" / "images.npy"
    out = entries / "images.vlae"
    options = ["--codebook-bits", 6, "--batch-size", 8, "--candidates", 16]
    run("compress", images, "--entry", "binary", "--out", out, *options)
    assert out.read_bytes() == (KEPT / "binary" / "codebook.vlae").read_bytes()
    run("decompress", out, "--out", entries / "again")
    np.testing.assert_array_equal(load_arrays(entries / "again"), 255 * np.load(images))
    run("compress", images, "--entry", "binary", "--out", out, *options, "--lossy")
    assert out.read_bytes() == (KEPT / "binary" / "lossy.vlae").read_bytes()


def test_no_other_file_is_written_over(entries):
    """Neither the images nor anything else: `out` is new, or such a file."""
    images = np.load(KEPT / "binary" / "images.npy")[:2]
    source, thesis = entries / "images.npy", entries / "thesis.tex"
    np.save(source, images)
    thesis.write_text("years")
    for out in (source, thesis):
        with pytest.raises(ValueError, match="`out` must be a new file, or a .vlae file"):
            run("compress", source, "--entry", "binary", "--out", out)
        with pytest.raises(ValueError, match="`path` must be a new file, or a .vlae file"):
            ImageWriter(out, Coder("binary", codebook_bits=3))
    np.testing.assert_array_equal(np.load(source), images)
    assert thesis.read_text() == "years"

"""The C program: the SavedModel without Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[2] / "export" / "c"


@pytest.fixture(scope="module")
def encode(exported, tmp_path_factory):
    """Runs the program on a picture: its status, and what it says."""
    if not (shutil.which("cc") and shutil.which("make")):
        pytest.skip("there is no C compiler, or no make")
    build = tmp_path_factory.mktemp("build")
    command = ["make", "-C", str(SOURCE), f"PYTHON={sys.executable}", f"BUILD={build}"]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert "warning" not in made.stderr

    def run(picture, saved_model=exported):
        return subprocess.run(
            [build / "encode", saved_model, picture],
            capture_output=True,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        )

    return run


def test_its_code_is_python_s(encode, model, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (8, 8)).astype("uint8")
    Image.fromarray(picture).save(tmp_path / "picture.pgm")
    done = encode(tmp_path / "picture.pgm")
    assert done.returncode == 0, done.stderr
    expected = model.encode((picture >= 128).astype("uint8").reshape(1, 8, 8, 1))
    np.testing.assert_allclose([np.loadtxt(done.stdout.split())], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"P5\n# drawn by hand\n8 8\n255\n" + bytes(63), "ends before its last pixel"),
        (b"P2\n8 8\n255\n" + bytes(64), "must be a binary PGM"),
        (b"P5\n8 8\n65535\n" + bytes(128), "must be a binary PGM"),
        (b"", "must be a binary PGM"),
        (b"P5\n7 8\n255\n" + bytes(56), "cannot encode the picture"),
    ],
    ids=["truncated", "text", "16 bits", "empty", "wrong size"],
)
def test_it_says_what_is_wrong(encode, tmp_path, content, words):
    (tmp_path / "picture.pgm").write_bytes(content)
    done = encode(tmp_path / "picture.pgm")
    assert done.returncode == 1 and words in done.stderr


def test_it_says_what_it_cannot_load(encode, tmp_path):
    (tmp_path / "picture.pgm").write_bytes(b"P5\n8 8\n255\n" + bytes(64))
    done = encode(tmp_path / "picture.pgm", tmp_path / "nowhere")
    assert done.returncode == 1 and "cannot load the SavedModel" in done.stderr

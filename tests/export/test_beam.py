"""The Beam pipeline of export/beam: codes as Python's, restarts, and images that cannot be read.

Beam does not go into one environment with the lock file: VLAE_TF_BEAM_PYTHON names the interpreter
of another, where export/beam/requirements.txt is installed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from PIL import Image

import vlae_tf
from vlae_tf.likelihoods import FactorisedLogisticMixtureLikelihood
from vlae_tf.networks import ResNetDecoder, ResNetEncoder

SOURCE = Path(__file__).parents[2] / "export" / "beam" / "encode.py"
PYTHON = os.environ.get("VLAE_TF_BEAM_PYTHON") or (find_spec("apache_beam") and sys.executable)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="VLAE_TF_BEAM_PYTHON names no interpreter with Beam"),
]


def start(exported, output, *arguments):
    environment = os.environ | {"PYTHONPATH": str(Path(vlae_tf.__file__).parents[1])}
    return subprocess.Popen(
        [PYTHON, SOURCE, "--model", exported, "--output", output, "--runner", "FnApiRunner"]
        + [str(argument) for argument in arguments],
        env=environment | {"TF_CPP_MIN_LOG_LEVEL": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def encode(exported, output, *arguments):
    """Runs the pipeline: what it counted."""
    process = start(exported, output, *arguments)
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    return json.loads(printed.splitlines()[-1])


def codes(output):
    """The code of each image, by id."""
    tables = [pq.read_table(path) for path in sorted(Path(output).glob("codes-*.parquet"))]
    columns = [(table["id"].to_pylist(), table["code"].to_pylist()) for table in tables]
    return {name: code for names, rows in columns for name, code in zip(names, rows, strict=True)}


def bad(output):
    lines = "".join(path.read_text() for path in Path(output).glob("bad-*.jsonl")).splitlines()
    return {entry["id"]: entry["reason"] for entry in map(json.loads, lines)}


@pytest.fixture
def pictures(tmp_path):
    """Grey pictures of 8x8 in a folder, and as an array."""
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8)).astype("uint8")
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{number}.png")
    return images


def expected(model, images):
    return model.encode((images >= 128).astype("uint8")[..., None])


def test_pictures_in_codes_out_and_a_restart_does_what_is_left(exported, model, pictures, tmp_path):
    output = tmp_path / "codes"
    arguments = ["--input", tmp_path / "pictures" / "*.png", "--unit-size", 2]
    counts = encode(exported, output, *arguments)
    assert counts == {"images": 6, "bad images": 0, "units": 3, "units done before": 0}
    found = codes(output)
    names = [str(tmp_path / "pictures" / f"{number}.png") for number in range(6)]
    assert sorted(found) == names
    np.testing.assert_allclose(
        [found[name] for name in names], expected(model, pictures), atol=1e-5
    )

    first, *others = sorted(output.glob("codes-*.parquet"))
    before = {path: path.stat().st_mtime_ns for path in others}
    first.unlink()
    counts = encode(exported, output, *arguments)
    assert (counts["images"], counts["units done before"]) == (2, 2)
    assert codes(output) == found
    assert {path: path.stat().st_mtime_ns for path in others} == before


def test_images_that_cannot_be_encoded_are_set_aside(exported, model, pictures, tmp_path):
    folder = tmp_path / "pictures"
    (folder / "6.png").write_bytes((folder / "0.png").read_bytes()[:40])
    Image.fromarray(np.zeros((9, 8), "uint8")).save(folder / "7.png")
    records = tmp_path / "images.tfrecord"
    with tf.io.TFRecordWriter(str(records)) as writer:
        raw = (pictures[0] >= 128).astype("uint8").tobytes()
        for key, value in (
            ("image", (folder / "1.png").read_bytes()),
            ("image", raw),
            ("picture", raw),
            ("image", b""),
        ):
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            features = tf.train.Features(feature={key: feature})
            writer.write(tf.train.Example(features=features).SerializeToString())
    damaged = tmp_path / "damaged.tfrecord"
    damaged.write_bytes(records.read_bytes()[:-10])  # in the middle of its last record

    output = tmp_path / "codes"
    counts = encode(exported, output, "--input", folder / "*.png", tmp_path / "*.tfrecord")
    assert counts["bad images"] == len(bad(output)) == 2 + 2 + 2 and counts["units"] == 3
    reasons = bad(output)
    assert "must be 8x8" in reasons[str(folder / "7.png")]
    assert "no feature 'image'" in reasons[f"{records}#2"]
    assert any(name.startswith(f"{damaged}#") and "and all after it" in name for name in reasons)
    found = codes(output)
    assert len(found) == counts["images"] == 6 + 2 + 2
    rows = [found[f"{records}#{number}"] for number in (1, 0)]
    np.testing.assert_allclose(rows, expected(model, pictures[:2]), atol=1e-5)


def test_a_model_of_256_levels_takes_the_colours_as_they_are(tmp_path):
    shape, small = (8, 8, 3), {"filters": [4], "blocks": 1, "units": 8}
    colour = vlae_tf.VLAE(
        shape,
        4,
        encoder=ResNetEncoder(**small),
        decoder=ResNetDecoder(shape, maps=2, **small),
        likelihood_family=FactorisedLogisticMixtureLikelihood(shape),
    )
    exported = colour.export(tmp_path / "colour", importance_samples=1)
    images = np.random.default_rng(0).integers(0, 256, (4, *shape)).astype("uint8")
    images[1] //= 200  # so dark that it could be taken for one of 0 and 1
    images[2] //= 4
    pictures = [tmp_path / f"{number}.png" for number in range(3)]
    for image, path in zip(images, pictures, strict=False):
        Image.fromarray(image).save(path)
    records = tmp_path / "raw.tfrecord"
    with tf.io.TFRecordWriter(str(records)) as writer:
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[images[3].tobytes()]))
        features = tf.train.Features(feature={"image": feature})
        writer.write(tf.train.Example(features=features).SerializeToString())

    output = tmp_path / "codes"
    counts = encode(exported, output, "--input", tmp_path / "*.png", records)
    assert (counts["images"], counts["bad images"]) == (4, 0)
    found = codes(output)
    rows = [found[name] for name in (*map(str, pictures), f"{records}#0")]
    np.testing.assert_allclose(rows, colour.encode(images), atol=1e-5)


def test_killed_pipeline_goes_on(exported, model, pictures, tmp_path):
    output = tmp_path / "codes"
    arguments = ["--input", tmp_path / "pictures" / "*.png", "--unit-size", 1]
    process = start(exported, output, *arguments)
    deadline = time.monotonic() + 120
    while not list(output.glob("codes-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = len(list(output.glob("codes-*.parquet")))
    assert done, "a unit is written when it is done, not when all are"
    counts = encode(exported, output, *arguments)
    assert (counts["units done before"], counts["units"]) == (done, 6 - done)
    found = codes(output)
    rows = [found[str(tmp_path / "pictures" / f"{number}.png")] for number in range(6)]
    np.testing.assert_allclose(rows, expected(model, pictures), atol=1e-5)


def test_input_that_is_not_there(exported, tmp_path):
    process = start(exported, tmp_path / "codes", "--input", tmp_path / "none" / "*.png")
    _, errors = process.communicate()
    assert process.returncode != 0
    assert "`--input` must fit at least one file" in errors

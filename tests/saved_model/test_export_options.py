"""Exports with pictures as PNG, and with requests to warm up."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.tiny import tiny_model
from vlae_tf.likelihoods import BernoulliLikelihood
from vlae_tf.saved_model import export

pytestmark = pytest.mark.slow

NAMES = {"encode", "decode", "reconstruct", "sample", "log_prob"}


def png(array):
    data = io.BytesIO()
    Image.fromarray(array).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def path(model, requests, tmp_path_factory):
    images = requests["encode"]["image"][:2]
    options = {"importance_samples": 2, "png": True, "batch_sizes": (1, 3)}
    folder = tmp_path_factory.mktemp("png") / "tiny"
    return export(model, folder, warmup_images=images, **options)


@pytest.fixture(scope="module")
def signatures(path):
    saved_model = tf.saved_model.load(path)
    yield saved_model.signatures


@pytest.fixture
def ask(signatures):
    def ask(signature, **inputs):
        inputs = {name: tf.constant(value) for name, value in inputs.items()}
        return {k: v.numpy() for k, v in signatures[signature](**inputs).items()}

    return ask


# === PNG ===


def test_pictures_are_read_and_written_as_the_images_they_show(ask, requests):
    images, seed = requests["reconstruct"]["image"], requests["reconstruct"]["seed"]
    pictures = [png(image[:, :, 0] * 255) for image in images]
    expected = ask("reconstruct", image=images, seed=seed)
    found = ask("reconstruct_png", image_bytes=pictures, seed=seed)
    assert found.keys() == {"image_bytes", "code_bits"}
    np.testing.assert_allclose(found["code_bits"], expected["code_bits"], rtol=1e-5)
    for data, image in zip(found["image_bytes"], expected["image"], strict=True):
        np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(data))), image[:, :, 0] * 255)


def test_a_picture_of_another_size_and_in_colour_is_brought_to_the_models(ask, requests):
    image = requests["encode"]["image"][:1]
    large = np.kron(image[0, :, :, :] * 255, np.ones((3, 3, 1), "uint8")).repeat(3, axis=2)
    expected = ask("encode", image=image)
    for key, value in ask("encode_png", image_bytes=[png(large)]).items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-5, atol=1e-6)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_picture_that_cannot_be_read_spoils_its_own_row_alone(ask):
    good = png(np.triu(np.full((8, 8), 255, "uint8")))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0))
    bomb = good[:8] + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    gif = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), "uint8")).save(gif, "GIF")
    rows = [b"no picture", good, b"", good[:-20], bomb, gif.getvalue(), good]
    readable = np.array([row is good for row in rows])
    alone = ask("reconstruct_png", image_bytes=[good], seed=[1])
    answer = ask("reconstruct_png", image_bytes=rows, seed=[1] * len(rows))
    np.testing.assert_array_equal(np.isnan(answer["code_bits"]), ~readable)
    np.testing.assert_allclose(answer["code_bits"][readable], alone["code_bits"][0], rtol=1e-5)
    for data, right in zip(answer["image_bytes"], readable, strict=True):
        image = np.array(Image.open(io.BytesIO(data)))
        assert data == alone["image_bytes"][0] if right else not image.any()
    log_prob = ask("log_prob_png", image_bytes=rows, seed=[1] * len(rows))["log_prob"]
    np.testing.assert_array_equal(np.isnan(log_prob), ~readable)


def test_png_is_for_one_channel(tmp_path):
    two = tiny_model((8, 8, 2), likelihood_family=BernoulliLikelihood((8, 8, 2)))
    with pytest.raises(ValueError, match="`png` needs a binary model of one channel.*Received"):
        export(two, tmp_path / "tiny", png=True)
    assert not any(tmp_path.iterdir())


# === Warm-up ===


def test_warm_up_asks_for_each_signature_and_batch_size(path, signatures):
    prediction_log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    asked = set()
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        request = prediction_log.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.name == "tiny"
        inputs = {key: tf.constant(tf.make_ndarray(t)) for key, t in request.inputs.items()}
        asked.add((request.model_spec.signature_name, *{v.shape[0] for v in inputs.values()}))
        # Each can be answered, and those with images are answered with numbers.
        for value in signatures[request.model_spec.signature_name](**inputs).values():
            assert value.dtype not in (tf.float32,) or np.isfinite(value).all()
    names = NAMES | {f"{name}_png" for name in NAMES} | {"about"}
    assert asked == {(name, size) for name in names for size in (1, 3)}

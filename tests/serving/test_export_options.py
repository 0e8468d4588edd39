"""Exports for GPUs (XLA) and TPUs, with pictures as PNG, and with requests to warm up."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from vlae_tf.likelihoods import BernoulliLikelihood
from vlae_tf.models import VLAE
from vlae_tf.saved_model import export
from vlae_tf.saved_model.signatures import Signatures

FIVE = {"encode", "decode", "reconstruct", "sample", "log_prob"}


def png(array):
    data = io.BytesIO()
    Image.fromarray(array).save(data, "PNG")
    return data.getvalue()


def answer(path, signature, **inputs):
    loaded = tf.saved_model.load(path)
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    return {k: v.numpy() for k, v in loaded.signatures[signature](**inputs).items()}


@pytest.fixture(scope="module")
def with_png(model, tmp_path_factory):
    return export(model, tmp_path_factory.mktemp("png") / "tiny", importance_samples=2, png=True)


# === XLA and TPU ===


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3])
def test_xla_compiles_each_signature_at_a_fixed_batch_size(model, requests, batch_size):
    signatures = Signatures(model, importance_samples=3)
    _, plain = signatures.functions()
    _, compiled = signatures.functions(xla=True, batch_size=batch_size)
    assert set(compiled) == FIVE
    for name, function in compiled.items():
        rows = {key: tf.constant(value[:batch_size]) for key, value in requests[name].items()}
        expected = plain[name](**rows)
        for key, value in function(**rows).items():
            assert value.shape[0] == batch_size
            if value.dtype == tf.uint8:
                np.testing.assert_array_equal(value, expected[key])
            else:
                np.testing.assert_allclose(value, expected[key], rtol=1e-4, atol=1e-4)


def test_a_function_that_must_compile_says_so_in_the_export(model, exported, tmp_path):
    def must_compile(path):
        saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        functions = saved.meta_graphs[0].graph_def.library.function
        return any(f.attr["_XlaMustCompile"].b for f in functions)

    assert must_compile(export(model, tmp_path / "tiny", xla=True))
    assert not must_compile(exported)


def test_an_inference_converter_finds_each_signature_by_its_alias(exported):
    saved = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0]
    aliases = graph.meta_info_def.function_aliases
    assert set(aliases.values()) == {f"{name}_tpu" for name in FIVE}
    assert set(aliases) <= {
        function.signature.name for function in graph.graph_def.library.function
    }


# === PNG ===


def test_pictures_are_read_and_written_as_the_images_they_show(with_png, requests):
    images, seed = requests["reconstruct"]["image"], requests["reconstruct"]["seed"]
    pictures = [png(image[:, :, 0] * 255) for image in images]
    expected = answer(with_png, "reconstruct", image=images, seed=seed)
    found = answer(with_png, "reconstruct_png", image_bytes=pictures, seed=seed)
    assert found.keys() == {"image_bytes", "code_bits"}
    np.testing.assert_allclose(found["code_bits"], expected["code_bits"], rtol=1e-5)
    for data, image in zip(found["image_bytes"], expected["image"], strict=True):
        np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(data))), image[:, :, 0] * 255)


def test_a_picture_of_another_size_and_in_colour_is_brought_to_the_models(with_png, requests):
    image = requests["encode"]["image"][:1]
    large = np.kron(image[0, :, :, :] * 255, np.ones((3, 3, 1), "uint8")).repeat(3, axis=2)
    expected = answer(with_png, "encode", image=image)
    for key, value in answer(with_png, "encode_png", image_bytes=[png(large)]).items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-5, atol=1e-6)


def test_bytes_that_are_no_picture_are_an_error(with_png):
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        answer(with_png, "encode_png", image_bytes=[b"no picture"])


def test_png_is_for_one_channel(tmp_path):
    two = VLAE((8, 8, 2), likelihood_family=BernoulliLikelihood((8, 8, 2)))
    with pytest.raises(ValueError, match="`png` needs a binary model of one channel.*Received"):
        export(two, tmp_path / "tiny", png=True)
    assert not any(tmp_path.iterdir())


# === Warm-up ===


def test_warm_up_asks_for_each_signature_and_batch_size(model, requests, tmp_path):
    prediction_log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    images = requests["encode"]["image"][:2]
    path = export(model, tmp_path / "tiny", warmup_images=images, batch_sizes=(1, 3), png=True)
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    asked, signatures = set(), tf.saved_model.load(path)
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        request = prediction_log.PredictionLog.FromString(record).predict_log.request
        inputs = {key: tf.constant(tf.make_ndarray(t)) for key, t in request.inputs.items()}
        asked.add((request.model_spec.signature_name, *{v.shape[0] for v in inputs.values()}))
        # Each can be answered, and those with images are answered with numbers.
        for value in signatures.signatures[request.model_spec.signature_name](**inputs).values():
            assert value.dtype not in (tf.float32,) or np.isfinite(value).all()
    names = FIVE | {f"{name}_png" for name in FIVE}
    assert asked == {(name, size) for name in names for size in (1, 3)}


@pytest.mark.parametrize("sizes", [(), (0,), (1.5,)])
def test_batch_sizes_are_positive_integers(model, requests, tmp_path, sizes):
    with pytest.raises(ValueError, match="`batch_sizes` must be positive integers.*Received: ba"):
        export(model, tmp_path / "x", warmup_images=requests["encode"]["image"], batch_sizes=sizes)
    assert not any(tmp_path.iterdir())

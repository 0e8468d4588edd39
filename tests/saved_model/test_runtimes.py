"""What other runtimes compute from an exported file is what Python computes."""

import keras
import numpy as np
import pytest

from tests.tiny import random_images, tiny_model
from vlae_tf import likelihoods
from vlae_tf.saved_model import export_runtime
from vlae_tf.saved_model.runtime_writers import named_function

pytestmark = pytest.mark.slow

SHAPES = {"onnx": "m.onnx", "openvino": "m.xml", "litert": "m.tflite"}
PACKAGES = {
    "onnx": ("tf2onnx", "onnxruntime"),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert.interpreter",),
}


def run(path, format, inputs):
    """The outputs of a file, a dict, as its runtime computes them."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, inputs), strict=True))
    if format == "openvino":
        import openvino

        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        outputs = openvino.Core().compile_model(path, "CPU", exact)(inputs)
        return {next(iter(output.names)): value for output, value in outputs.items()}
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path)).get_signature_runner()(**inputs)


def needs(format):
    for package in PACKAGES[format]:
        pytest.importorskip(package)


def model_of(kind):
    if kind == "factorised":
        return tiny_model(likelihood_family=likelihoods.BernoulliLikelihood((6, 6, 1)))
    if kind == "colours":
        return tiny_model((6, 6, 3), levels=256)
    return tiny_model()


@pytest.fixture(scope="module", params=["window", "factorised", "colours"])
def model(request):
    return model_of(request.param)


def inputs_of(model, signature, rows=5):
    images = random_images(rows, model.image_shape, model.levels)
    if signature == "encode":
        return {"image": images}
    _, (_, noise) = named_function(model, "decode")
    uniform = np.random.default_rng(0).random((rows, *noise.shape[1:]), "float32")
    return {"code": model.encode(images), "noise": uniform}


@pytest.mark.filterwarnings("ignore")  # of the converters
@pytest.mark.parametrize("format", SHAPES)
def test_encode_is_that_of_python(model, format, tmp_path):
    needs(format)
    path = model.export(tmp_path / SHAPES[format], format=format)
    inputs = inputs_of(model, "encode")
    expected, _ = named_function(model, "encode")
    found = run(path, format, inputs)
    assert set(found) == {"code", "scale", "code_bits"}
    for name, value in expected(**inputs).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["code"], model.encode(inputs["image"]), atol=1e-4)
    # Rows that the model does not take are not answered.
    if model.levels == 2:
        wrong = inputs["image"].copy()
        wrong[1, 0, 0, 0] = 7
        code = run(path, format, {"image": wrong})["code"]
        assert np.isnan(code[1]).all() and np.isfinite(code[[0, 2]]).all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", SHAPES)
def test_decode_is_that_of_python_where_the_format_allows(model, format, tmp_path):
    needs(format)
    path = tmp_path / SHAPES[format]
    if format != "onnx" and not isinstance(
        model.likelihood_family, likelihoods.BernoulliLikelihood
    ):
        with pytest.raises(ValueError, match="decode is a loop, .* export it as onnx"):
            export_runtime(model, path, format, "decode")
        assert not any(tmp_path.iterdir())
        return
    export_runtime(model, path, format, "decode")
    inputs = inputs_of(model, "decode")
    function, _ = named_function(model, "decode")
    image = run(path, format, inputs)["image"]
    assert image.dtype == np.uint8
    same = image == function(**inputs)["image"].numpy()
    # A pixel whose probability meets its noise within rounding may fall either way.
    assert same.mean() > (0.99 if model.levels > 2 else 0.999)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("m.onnx", "onnx", "sample"), "sample draws random numbers, which onnx cannot: export"),
        (("m.onnx", "onnx", "reconstruct"), "which takes them as an input"),
        (("m.onnx", "onnx", "about"), "`signature` must be one of 'encode', 'decode'"),
        (("m.onnx", "torch"), "`format` must be one of 'onnx', 'openvino', 'litert'"),
        (("m.onnx", "litert"), "`path` must be a file that ends in .tflite for litert"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(tmp_path, arguments, words):
    name, *rest = arguments
    with pytest.raises(ValueError, match=words):
        export_runtime(tiny_model(), tmp_path / name, *rest)


def test_mixed_precision_and_a_version_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`model` must be of dtype float32. Received: a model of"):
        export_runtime(tiny_model(dtype="mixed_bfloat16"), tmp_path / "m.tflite", "litert")
    with pytest.raises(ValueError, match="`version` must be None for onnx"):
        tiny_model().export(tmp_path / "m.onnx", 1, format="onnx")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="'tf2onnx': pip install 'vlae_tf\\[onnx\\]'"):
        export_runtime(tiny_model(), tmp_path / "m.onnx", "onnx")


@pytest.mark.filterwarnings("ignore")
def test_keras_own_export_works_after_a_call(tmp_path):
    needs("onnx")
    model = tiny_model()
    model(random_images(2).astype("float32"))
    keras.Model.export(model, str(tmp_path / "m.onnx"), format="onnx", verbose=False)
    images = random_images(3).astype("float32")
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    answers = session.run(None, {session.get_inputs()[0].name: images})
    assert any(np.allclose(answer, model.encode(images), atol=1e-4) for answer in answers)

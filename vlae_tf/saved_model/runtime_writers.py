"""What writes the file of a runtime, from a function on named inputs."""

import pathlib
import tempfile

import numpy as np
import tensorflow as tf

from vlae_tf.files import whole
from vlae_tf.saved_model.signatures import Signatures


def named_function(model, signature):
    """The function, on named inputs, and their specifications."""
    if signature == "encode":
        specs = [tf.TensorSpec((None, *model.image_shape), tf.uint8, name="image")]
        run = Signatures(model, importance_samples=1).encode
        return tf.function(run, specs, autograph=False), specs
    code = tf.TensorSpec((None, model.latent_dim), tf.float32, name="code")
    shape = model.likelihood(tf.zeros((1, model.latent_dim))).noise_shape

    def decode(code, noise):
        return {"image": tf.cast(model.likelihood(code).from_noise(noise), tf.uint8)}

    specs = [code, tf.TensorSpec((None, *shape), tf.float32, name="noise")]
    return tf.function(decode, specs, autograph=False), specs


# === Writers ===


def write_onnx(function, specs, path):
    import onnx
    import tf2onnx

    handlers = {"Log1p": (_log1p, [])}
    proto, _ = tf2onnx.convert.from_function(function, specs, opset=17, custom_op_handlers=handlers)
    try:
        # What it cannot convert it leaves as it is, with a line in the log.
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        raise ValueError(
            f"This function has operations that ONNX lacks. Received: {error}"
        ) from error
    with whole(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())


def _log1p(graph, node, name, arguments):
    """log(1 + x), which ONNX lacks, of two operations that it has."""
    one = graph.make_const(f"{name}_one", np.array(1, "float32"))
    sum_ = graph.make_node("Add", [node.input[0], one.output[0]])
    graph.replace_input(node, node.input[0], sum_.output[0], 0)
    node.type = "Log"


def write_openvino(function, specs, path):
    import openvino

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        saved = _saved_model(function, folder)
        try:
            converted = openvino.convert_model(saved)
        except RuntimeError as error:
            raise ValueError(
                "This function has operations that OpenVINO lacks. Received: "
                f"{str(error).strip().splitlines()[-1]}"
            ) from error
        # Weights stay float32, so that codes are those of Python.
        openvino.save_model(converted, f"{folder}/{path.name}", compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            (pathlib.Path(folder) / path.name).with_suffix(suffix).replace(path.with_suffix(suffix))


def write_litert(function, specs, path):
    with tempfile.TemporaryDirectory() as folder:
        converter = tf.lite.TFLiteConverter.from_saved_model(_saved_model(function, folder))
        try:
            content = converter.convert()
        except Exception as error:  # the converter's own class is not public
            raise ValueError(
                "This function has operations that LiteRT lacks. Received: "
                f"{str(error).strip().splitlines()[0]}"
            ) from error
    with whole(path) as temporary:
        temporary.write_bytes(content)


def _saved_model(function, folder):
    concrete = function.get_concrete_function()
    module = tf.Module()
    module.weights = list(concrete.variables)
    tf.saved_model.save(module, f"{folder}/saved", signatures={"serving_default": concrete})
    return f"{folder}/saved"

"""Files for other runtimes than TensorFlow: ONNX, OpenVINO, LiteRT."""

import pathlib
from typing import Any

from vlae_tf.backend import check_tensorflow
from vlae_tf.checks import check_choice, check_installed, refuse
from vlae_tf.files import PathLike

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "litert": ".tflite"}
SIGNATURES = ("encode", "decode")
_RANDOM = ("reconstruct", "sample", "log_prob")
# These two cannot run the loop in which an autoregressive decoder draws.
_WITHOUT_LOOPS = ("openvino", "litert")


def export_runtime(
    model: Any, path: PathLike, format: str, signature: str = "encode"
) -> pathlib.Path:
    """Write one function of a model for a runtime that needs neither TensorFlow nor Keras.

        encode   image -> code, scale, code_bits
        decode   code, noise -> image

    Rows, units and types are those of the SavedModel's signatures. These formats have no random
    numbers that a seed decides, so `decode` takes them as an input: `noise`, uniform in [0, 1), of
    the shape that the file declares. Decoding with a window is a loop, which ONNX alone has.

    Args:
        model: a `VAE` on the TensorFlow backend, in float32.
        path: file to write: .onnx, .tflite, or .xml, beside which OpenVINO writes a .bin.
        format: "onnx", "openvino" or "litert".
        signature: "encode" or "decode".

    Returns:
        The `pathlib.Path` of the file.

    Raises:
        ValueError: for a function that the format does not have, or another suffix.
        ImportError: if the package that writes the format is not installed.

    Example:
        >>> from vlae_tf.saved_model import export_runtime
        >>> export_runtime(vlae, "encode.tflite", "litert")  # doctest: +SKIP
    """
    check_tensorflow("export")
    check_choice(format, "format", SUFFIXES)
    path = pathlib.Path(path)
    if path.suffix != SUFFIXES[format]:
        refuse("path", f"a file that ends in {SUFFIXES[format]} for {format}", str(path))
    if signature in _RANDOM:
        raise ValueError(
            f"{signature} draws random numbers, which {format} cannot: export `encode` and `decode`"
            f", which takes them as an input. Received: signature={signature!r}"
        )
    check_choice(signature, "signature", SIGNATURES)
    if model.dtype_policy.compute_dtype != "float32":
        refuse("model", "of dtype float32", model, f"a model of {model.dtype_policy.name}")
    if format != "litert":  # TensorFlow itself writes that
        check_installed({"onnx": "tf2onnx"}.get(format, format), format, f"format={format!r}")
    from vlae_tf.saved_model import runtime_writers  # with TensorFlow alone

    function, specs = runtime_writers.named_function(model, signature)
    operations = {op.type for op in function.get_concrete_function().graph.get_operations()}
    if format in _WITHOUT_LOOPS and operations & {"While", "StatelessWhile"}:
        raise ValueError(
            f"This {signature} is a loop, pixel after pixel or number after number, which {format} "
            f"cannot run: export it as onnx. Received: signature={signature!r}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    getattr(runtime_writers, f"write_{format}")(function, specs, path)
    return path

from vlae_tf.checks import check_installed
from vlae_tf.serving.client.tensors import TENSOR_MESSAGES, fill_tensor, read_tensor, type_name
from vlae_tf.serving.serving_error import ServingError

# Those fields of TensorFlow Serving's messages that are used here.
_MESSAGES = TENSOR_MESSAGES | {
    "Version": {"value": (1, "int64")},
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "Version"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "NamedTensor": {"key": (1, "string"), "value": (2, "TensorProto")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, ["NamedTensor"])},
    "PredictResponse": {"outputs": (1, ["NamedTensor"])},
    "TensorInfo": {"dtype": (2, "int32"), "tensor_shape": (3, "TensorShapeProto")},
    "NamedInfo": {"key": (1, "string"), "value": (2, "TensorInfo")},
    "SignatureDef": {"inputs": (1, ["NamedInfo"]), "outputs": (2, ["NamedInfo"])},
    "NamedSignature": {"key": (1, "string"), "value": (2, "SignatureDef")},
    "SignatureDefMap": {"signature_def": (1, ["NamedSignature"])},
    "Any": {"value": (2, "bytes")},
    "NamedAny": {"key": (1, "string"), "value": (2, "Any")},
    "GetModelMetadataRequest": {
        "model_spec": (1, "ModelSpec"),
        "metadata_field": (2, ["string"]),
    },
    "GetModelMetadataResponse": {"metadata": (2, ["NamedAny"])},
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "VersionStatus": {"version": (1, "int64"), "state": (2, "int32")},
    "GetModelStatusResponse": {"model_version_status": (1, ["VersionStatus"])},
}
_STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class GrpcConnection:
    """The gRPC side of `Client`, on grpcio, protobuf and NumPy.

    Args:
        target: `host:port`.
        model: name of the model.
        version, label: the version to ask, by its number or its label, or None.
        timeout: seconds.

    Example:
        >>> from vlae_tf.serving.client.grpc_connection import GrpcConnection
        >>> GrpcConnection("localhost:8500", "mnist_dynamic", None, None, 1.0).close()
    """

    def __init__(self, target, model, version, label, timeout):
        check_installed("grpc", "serving", "gRPC")
        import grpc

        from vlae_tf.serving.messages import message_classes

        self.timeout = timeout
        self._classes = message_classes(_MESSAGES)
        self._spec = self._classes["ModelSpec"](name=model, version_label=label or "")
        if version is not None:
            self._spec.version.value = version
        self._channel = grpc.insecure_channel(
            target,
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                # Straight to the address, as over REST.
                ("grpc.enable_http_proxy", 0),
            ],
        )

    def predict(self, signature, inputs, outputs):
        request = self._classes["PredictRequest"](model_spec=self._spec)
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            fill_tensor(request.inputs.add(key=name).value, array)
        answer = self._call("PredictionService/Predict", request, "PredictResponse")
        tensors = {output.key: output.value for output in answer.outputs}
        return {name: read_tensor(tensors[name]) for name in outputs}

    def signatures(self):
        request = self._classes["GetModelMetadataRequest"](
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        answer = self._call(
            "PredictionService/GetModelMetadata", request, "GetModelMetadataResponse"
        )
        packed = {item.key: item.value.value for item in answer.metadata}["signature_def"]
        signatures = self._classes["SignatureDefMap"].FromString(packed).signature_def
        return {
            signature.key: {
                side: {info.key: _spec(info.value) for info in getattr(signature.value, side)}
                for side in ("inputs", "outputs")
            }
            for signature in signatures
        }

    def status(self):
        request = self._classes["GetModelStatusRequest"](model_spec=self._spec)
        answer = self._call("ModelService/GetModelStatus", request, "GetModelStatusResponse")
        return {
            status.version: _STATES.get(status.state, "UNKNOWN")
            for status in answer.model_version_status
        }

    def close(self):
        self._channel.close()

    def _call(self, method, request, response):
        import grpc

        ask = self._channel.unary_unary(
            f"/tensorflow.serving.{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=self._classes[response].FromString,
        )
        try:
            return ask(request, timeout=self.timeout)
        except grpc.RpcError as error:
            raise ServingError(error.code().name, error.details() or "no details") from error


def _spec(info):
    """Type and shape of a `TensorInfo`; None for a size that is free."""
    sizes = tuple(dim.size if dim.size >= 0 else None for dim in info.tensor_shape.dim)
    shape = None if info.tensor_shape.unknown_rank else sizes
    return {"dtype": type_name(info.dtype), "shape": shape}

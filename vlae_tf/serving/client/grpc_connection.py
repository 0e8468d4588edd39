from vlae_tf.serving.serving_error import ServingError, need


class GrpcConnection:
    """The gRPC side of `Client`.

    Args:
        target: `host:port`.
        model: its name.
        version, label: of the version, or None.
        timeout: seconds.

    Example:
        >>> from vlae_tf.serving.client.grpc_connection import GrpcConnection
        >>> GrpcConnection("localhost:8500", "mnist_dynamic", None, None, 1.0).close()
    """

    def __init__(self, target, model, version, label, timeout):
        need("grpc")
        need("tensorflow_serving")
        import grpc
        from tensorflow_serving.apis import (
            model_pb2,
            model_service_pb2_grpc,
            prediction_service_pb2_grpc,
        )

        self.timeout = timeout
        self._spec = model_pb2.ModelSpec(name=model)
        if version is not None:
            self._spec.version.value = version
        if label is not None:
            self._spec.version_label = label
        self._channel = grpc.insecure_channel(
            target,
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                # Straight to the address, as over REST.
                ("grpc.enable_http_proxy", 0),
            ],
        )
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(self, signature, inputs, outputs):
        import tensorflow as tf
        from tensorflow_serving.apis.predict_pb2 import PredictRequest

        request = PredictRequest(model_spec=self._spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        answer = self._call(self._prediction.Predict, request).outputs
        return {name: tf.make_ndarray(answer[name]) for name in outputs}

    def signatures(self):
        from google.protobuf.json_format import MessageToDict
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        answer = self._call(self._prediction.GetModelMetadata, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        return MessageToDict(signatures, preserving_proto_field_name=True)["signature_def"]

    def status(self):
        from tensorflow_serving.apis import get_model_status_pb2

        request = get_model_status_pb2.GetModelStatusRequest(model_spec=self._spec)
        name = get_model_status_pb2.ModelVersionStatus.State.Name
        answer = self._call(self._models.GetModelStatus, request)
        return {status.version: name(status.state) for status in answer.model_version_status}

    def close(self):
        self._channel.close()

    def _call(self, method, request):
        import grpc

        try:
            return method(request, timeout=self.timeout)
        except grpc.RpcError as error:
            raise ServingError(error.code().name, error.details() or "no details") from error

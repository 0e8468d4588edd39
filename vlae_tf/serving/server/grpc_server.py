"""The gRPC side of the local server."""

import concurrent.futures
import logging
import math

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

from vlae_tf.serving.server.servable import check_tensor
from vlae_tf.serving.serving_error import ServingError

logger = logging.getLogger(__name__)


def grpc_server(service, host, port, max_request_bytes):
    """A gRPC server, not started yet, and the port that it listens on.

    Args:
        service: a `ModelService`.
        host, port: where to listen; port 0 is any free one.
        max_request_bytes: largest size of a message, and of each tensor that it describes.

    Raises:
        OSError: if the port is taken.
    """

    def predict(request):
        servable, spec = service.servable(request.model_spec)
        definition = servable.definition(spec.signature_name)
        inputs = {
            name: _array(name, tensor, definition.inputs, max_request_bytes)
            for name, tensor in request.inputs.items()
        }
        answer = servable.predict(spec.signature_name, inputs, request.output_filter)
        response = predict_pb2.PredictResponse(model_spec=spec)
        for name, value in answer.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    server = grpc.server(
        # A request that waits in a batch keeps a thread.
        concurrent.futures.ThreadPoolExecutor(max_workers=64, thread_name_prefix="grpc"),
        options=[
            ("grpc.max_receive_message_length", max_request_bytes),
            ("grpc.max_send_message_length", -1),
            # Otherwise a second server would share the port, and take half of the requests.
            ("grpc.so_reuseport", 0),
        ],
    )
    prediction = {
        "Predict": _method(predict_pb2.PredictRequest, predict),
        "GetModelMetadata": _method(
            get_model_metadata_pb2.GetModelMetadataRequest, service.metadata
        ),
    }
    model = {
        "GetModelStatus": _method(get_model_status_pb2.GetModelStatusRequest, service.status),
        "HandleReloadConfigRequest": _method(
            model_management_pb2.ReloadConfigRequest, service.reload
        ),
    }
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(f"tensorflow.serving.{name}", methods)
            for name, methods in (("PredictionService", prediction), ("ModelService", model))
        ]
    )
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        bound = 0
    if not bound:
        raise OSError(f"`port` must be free on {host}. Received: port={port}")
    return server, bound


def _method(request_class, answer):
    """A handler that reads the message itself: gRPC would call a broken one an internal error."""

    def handle(body, context):
        try:
            return answer(request_class.FromString(body))
        except DecodeError:
            code = "INVALID_ARGUMENT"
            message = (
                f"The message must be a {request_class.DESCRIPTOR.name}. "
                f"Received: {len(body)} bytes in another format"
            )
        except ServingError as error:
            code, message = error.code, str(error)
        except Exception:
            logger.exception("%s failed", request_class.DESCRIPTOR.name)
            code, message = "INTERNAL", "The request failed; the server's log says why"
        context.abort(getattr(grpc.StatusCode, code), message)

    return grpc.unary_unary_rpc_method_handler(
        handle, response_serializer=lambda response: response.SerializeToString()
    )


def _array(name, tensor, expected, max_bytes):
    """A `TensorProto` as an array; a `ServingError` if it is damaged or unexpected."""
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    try:
        dtype = tf.as_dtype(tensor.dtype)
        # A message of few bytes may describe a tensor that fills the memory.
        if min(shape, default=0) < 0 or math.prod(shape) * max(1, dtype.size) > max_bytes:
            raise ValueError(f"a tensor of more than {max_bytes} bytes")
        if name in expected:
            check_tensor(name, dtype, shape, expected[name])
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError, OverflowError) as error:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"`{name}` must be a whole tensor. Received: {name} of type {tensor.dtype}, shape "
            f"{shape} and {tensor.ByteSize()} bytes: {error}",
        ) from error

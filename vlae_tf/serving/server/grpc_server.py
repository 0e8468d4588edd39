"""The gRPC side of the local server."""

import concurrent.futures

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from vlae_tf.serving.serving_error import invalid, told


def grpc_server(models, max_request_bytes, max_requests):
    """A gRPC server for `models`, as yet without a port."""
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(max_requests, thread_name_prefix="grpc"),
        maximum_concurrent_rpcs=max_requests,
        options=[
            ("grpc.max_receive_message_length", max_request_bytes),
            # Otherwise a second server would share the port, and take half of the requests.
            ("grpc.so_reuseport", 0),
        ],
    )
    prediction = {
        "Predict": _handler(
            PredictRequest, lambda r, c: models.predict(r, c.time_remaining(), c.is_active)
        ),
        "GetModelMetadata": _handler(GetModelMetadataRequest, lambda r, _: models.metadata(r)),
    }
    model = {
        "GetModelStatus": _handler(GetModelStatusRequest, lambda r, _: models.status(r)),
        "HandleReloadConfigRequest": _handler(ReloadConfigRequest, lambda r, _: models.reload(r)),
    }
    for service, handlers in (("PredictionService", prediction), ("ModelService", model)):
        name = f"tensorflow.serving.{service}"
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, handlers)])
    return server


def _handler(kind, answer):
    """A handler that reads the message itself: gRPC would call a broken one an internal error."""

    def handle(body, context):
        try:
            return answer(kind.FromString(body), context).SerializeToString()
        except DecodeError:
            error = invalid("message", f"a {kind.DESCRIPTOR.name}", f"{len(body)} other bytes")
        except Exception as failure:
            error = told(failure)
        context.abort(getattr(grpc.StatusCode, error.code), str(error))

    return grpc.unary_unary_rpc_method_handler(handle)

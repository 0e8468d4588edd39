"""The REST side of the local server."""

import asyncio
import functools
import json
import re
import threading

from anyio import from_thread
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from vlae_tf.serving.server.json_tensors import read_predict, write_predict
from vlae_tf.serving.serving_error import ServingError, invalid, told

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>[0-9]{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>/metadata|:predict)?"
)
_STATUS = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "TOO_LARGE": 413, "RESOURCE_EXHAUSTED": 429}
_STATUS |= {"UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504}
_as_dict = functools.partial(
    MessageToDict, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
)


def rest_app(models, max_request_bytes, max_requests, seconds):
    """The ASGI application for `models`; `seconds` are for a request to come, and for its turn."""
    places = threading.Semaphore(max_requests)

    def predict(spec, body, wanted):
        try:
            content = json.loads(body)
        # Not JSONDecodeError alone: a number of thousands of digits raises another one.
        except (ValueError, RecursionError) as error:
            raise invalid("body", "JSON, not too deep", f"{len(body)} bytes") from error
        signature = content.get("signature_name", "") if isinstance(content, dict) else None
        if not isinstance(signature, str):
            raise invalid("body", "an object, its `signature_name` a string", content)
        definition = models.find(spec)[1].definition(signature)
        tensors, by_row = read_predict(content, definition)
        request = PredictRequest(model_spec=spec, inputs=tensors)
        request.model_spec.signature_name = signature
        return write_predict(models.predict(request, seconds, wanted).outputs, by_row)

    async def answer(request):
        path, method = request.scope["path"], request.method
        match = _PATH.fullmatch(path)
        if not match or (method == "POST") != (match["verb"] == ":predict"):
            expected = "/v1/models/NAME[/versions/N|/labels/LABEL][/metadata], or POST ...:predict"
            raise invalid("path", expected, f"{method} {path}")
        spec = {"name": match["name"], "version_label": match["label"]}
        spec["version"] = match["version"] and {"value": int(match["version"])}
        ask = GetModelStatusRequest(model_spec=spec)
        if match["verb"] is None:
            return _as_dict(models.status(ask))
        if match["verb"] == "/metadata":
            metadata = _as_dict(models.metadata(ask))
            # The type of the packed message is no part of TensorFlow Serving's JSON.
            metadata["metadata"]["signature_def"].pop("@type")
            return metadata
        if not places.acquire(blocking=False):
            raise ServingError("UNAVAILABLE", f"There are {max_requests} requests already")
        try:
            body = bytearray()
            async with asyncio.timeout(seconds):
                async for piece in request.stream():
                    body += piece
                    if len(body) > max_request_bytes:
                        raise ServingError("TOO_LARGE", f"More than {max_request_bytes} bytes")
            gone = functools.partial(from_thread.run, request.is_disconnected)
            return await run_in_threadpool(predict, ask.model_spec, body, lambda: not gone())
        except (ClientDisconnect, TimeoutError) as error:
            words = f"The whole request must come within {seconds} s"
            raise ServingError("DEADLINE_EXCEEDED", words) from error
        finally:
            places.release()

    async def endpoint(request):
        try:
            status, content = 200, await answer(request)
        except Exception as failure:
            error = told(failure)
            status, content = _STATUS.get(error.code, 500), {"error": str(error)}
        # Not Starlette's own JSON, which has no NaN.
        return Response(json.dumps(content), status, media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])

"""The REST side of the local server."""

import asyncio
import json
import re

from anyio import from_thread
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Mount, request_response
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from vlae_tf.serving.server.json_tensors import read_predict, write_predict
from vlae_tf.serving.serving_error import ServingError, invalid, told

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>[0-9]{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>/metadata|:predict)?"
)
_FORM = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}


def rest_app(models, max_request_bytes, max_requests, seconds):
    """The ASGI application for `models`; `seconds` are for a request to come, and for its turn."""
    places = asyncio.Semaphore(max_requests)

    def predict(spec, body, gone):
        try:
            content = json.loads(body)
        # Not JSONDecodeError alone: a number of thousands of digits raises another one.
        except (ValueError, RecursionError) as error:
            raise invalid("body", "JSON, not too deep", f"{len(body)} bytes") from error
        signature = content.get("signature_name", "") if isinstance(content, dict) else None
        if not isinstance(signature, str):
            raise invalid("body", "an object, its `signature_name` a string", content)
        tensors, by_row = read_predict(content, models.find(spec)[1].definition(signature))
        spec.signature_name = signature
        request = PredictRequest(model_spec=spec, inputs=tensors)
        response = models.predict(request, seconds, lambda: not from_thread.run(gone))
        return write_predict(response.outputs, by_row)

    async def answer(request):
        path, method = request.scope["path"], request.method
        match = _PATH.fullmatch(path)
        if method not in ("GET", "HEAD", "POST"):
            raise invalid("method", "GET or POST", method, "METHOD_NOT_ALLOWED")
        if not match or (method == "POST") != (match["verb"] == ":predict"):
            expected = "/v1/models/NAME[/versions/N|/labels/LABEL][/metadata], or POST ...:predict"
            raise invalid("path", expected, f"{method} {path}")
        version = match["version"] and {"value": int(match["version"])}
        spec = {"name": match["name"], "version": version, "version_label": match["label"]}
        ask = GetModelStatusRequest(model_spec=spec)
        if match["verb"] is None:
            return MessageToDict(models.status(ask), **_FORM)
        if match["verb"] == "/metadata":
            metadata = MessageToDict(models.metadata(ask), **_FORM)
            # The type of the packed message is no part of TensorFlow Serving's JSON.
            metadata["metadata"]["signature_def"].pop("@type")
            return metadata
        if places.locked():
            raise ServingError("UNAVAILABLE", f"There are {max_requests} requests already")
        async with places:
            body = bytearray()
            try:
                async with asyncio.timeout(seconds):
                    async for piece in request.stream():
                        body += piece
                        if len(body) > max_request_bytes:
                            raise ServingError("TOO_LARGE", f"More than {max_request_bytes} bytes")
            except (ClientDisconnect, TimeoutError) as error:
                words = f"The whole request must come within {seconds} s"
                raise ServingError("DEADLINE_EXCEEDED", words) from error
            return await run_in_threadpool(predict, ask.model_spec, body, request.is_disconnected)

    async def endpoint(request):
        try:
            status, content = 200, await answer(request)
        except Exception as failure:
            status, content = (error := told(failure)).status, {"error": str(error)}
        # Not Starlette's own JSON, which has no NaN.
        return Response(json.dumps(content), status, media_type="application/json")

    return Starlette(routes=[Mount("/", request_response(endpoint))])

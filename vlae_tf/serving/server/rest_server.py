"""The REST side of the local server."""

import http.server
import json
import logging
import re
import socket
import socketserver

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from vlae_tf.serving.server.json_tensors import read_predict, write_predict
from vlae_tf.serving.serving_error import ServingError

logger = logging.getLogger(__name__)

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>/metadata|:predict|:classify|:regress)?"
)
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_MIB = 2**20


def rest_server(service, host, port, max_request_bytes):
    """An HTTP server, to be run by `serve_forever`, and the port that it listens on.

    Args:
        service: a `ModelService`.
        host, port: where to listen; port 0 is any free one.
        max_request_bytes: largest size of a request's body.

    Raises:
        OSError: if the port is taken.
    """
    handler = type("Handler", (_Handler,), {"service": service, "max_bytes": max_request_bytes})
    try:
        server = (_Server6 if ":" in host else _Server)((host.strip("[]"), port), handler)
    except OSError as error:
        raise OSError(
            f"`rest_port` must be free on {host}. Received: rest_port={port}: {error}"
        ) from error
    return server, server.server_address[1]


class _Server(http.server.ThreadingHTTPServer):
    # Requests in flight are answered before the server has ended.
    daemon_threads = False

    def server_bind(self):
        # HTTPServer's own asks the name service for a name that nothing here needs.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        # The client went away: other failures are answered and logged in the handler.
        logger.debug("A connection ended early", exc_info=True)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Ends the thread of a client that stops sending.
    timeout = 60

    def do_GET(self):
        self._reply(self._get)

    def do_POST(self):
        self._reply(self._post)

    def _get(self, spec, verb):
        if verb is None:
            request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
            return _as_dict(self.service.status(request))
        if verb != "/metadata":
            raise self._malformed()
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=["signature_def"]
        )
        response = _as_dict(self.service.metadata(request))
        # The type of the packed message is no part of TensorFlow Serving's JSON.
        response["metadata"]["signature_def"].pop("@type")
        return response

    def _post(self, spec, verb):
        body = self._body()
        if verb in (":classify", ":regress"):
            raise ServingError("UNIMPLEMENTED", f"Only :predict is served. Received: {verb}")
        if verb != ":predict":
            raise self._malformed()
        servable, _ = self.service.servable(spec)
        request = _json_object(body)
        signature = request.get("signature_name", "")
        if not isinstance(signature, str):
            raise ServingError(
                "INVALID_ARGUMENT",
                f"`signature_name` must be a string. Received: signature_name={signature!r}",
            )
        inputs, by_row = read_predict(request, servable.definition(signature))
        return write_predict(servable.predict(signature, inputs), by_row)

    def _reply(self, answer):
        try:
            match = _PATH.fullmatch(self.path)
            if not match:
                raise self._malformed()
            spec = model_pb2.ModelSpec(name=match["name"])
            if match["version"]:
                spec.version.value = min(int(match["version"]), 2**63 - 1)
            if match["label"]:
                spec.version_label = match["label"]
            status, content = 200, answer(spec, match["verb"])
        except ServingError as error:
            status, content = _HTTP_STATUS.get(error.code, 500), {"error": str(error)}
        except _BodyError as error:
            status, content = error.status, {"error": str(error)}
        except RecursionError:
            status, content = 400, {"error": "The body must not be nested so deeply"}
        except TimeoutError:
            raise
        except Exception:
            logger.exception("%s %s failed", self.command, self.path)
            status, content = 500, {"error": "The request failed; the server's log says why"}
        self._send(status, content)

    def _body(self):
        """The request's body; a body that is too large is thrown away."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 19):
            raise _BodyError(411, f"Content-Length must be a number. Received: {length!r}")
        length = int(length)
        if length > self.max_bytes:
            # Most clients read no answer before they have sent all: read on, up to a limit.
            left = min(length, 64 * _MIB)
            while left and (piece := self.rfile.read(min(left, _MIB))):
                left -= len(piece)
            raise _BodyError(
                413,
                f"A request must have at most {self.max_bytes} bytes: send fewer rows, or start "
                f"the server with a larger --max-request-bytes. Received: {length} bytes",
            )
        body = self.rfile.read(length)
        if len(body) < length:
            raise _BodyError(
                400, f"The body must have {length} bytes, as announced. Received: {len(body)}"
            )
        return body

    def _malformed(self):
        return ServingError(
            "INVALID_ARGUMENT",
            "The path must be /v1/models/NAME[/versions/N|/labels/LABEL], for GET with or without "
            f"/metadata, for POST with :predict. Received: {self.command} {self.path}",
        )

    def _send(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        # One request a connection: the rest of a refused one is never taken for the next.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code, message=None, explain=None):
        # For the standard library's own refusals: a method, a line that is too long.
        self.close_connection = True
        self._send(code, {"error": message or self.responses.get(code, ("?",))[0]})

    def log_message(self, format, *args):
        logger.debug(format, *args)


class _BodyError(Exception):
    """A body that was not read; gRPC has no such status."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def _as_dict(message):
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json_object(body):
    try:
        value = json.loads(body)
    # Not JSONDecodeError alone: a number of thousands of digits raises another one.
    except ValueError as error:
        raise ServingError(
            "INVALID_ARGUMENT", f"The body must be JSON. Received: {len(body)} bytes: {error}"
        ) from error
    if not isinstance(value, dict):
        raise ServingError(
            "INVALID_ARGUMENT", f"The body must be a JSON object. Received: {str(value)[:200]}"
        )
    return value

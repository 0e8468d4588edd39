import http.client
import json
import urllib.parse

from vlae_tf.serving.json_values import from_json, to_json
from vlae_tf.serving.serving_error import ServingError

_CODES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    411: "INVALID_ARGUMENT",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# TensorFlow's names of types that NumPy names otherwise.
_TYPES = {"float": "float32", "double": "float64", "half": "float16"}


class RestConnection:
    """The REST side of `Client`, on the standard library and NumPy.

    Args:
        target: `host:port`.
        model: name of the model.
        version, label: the version to ask, by its number or its label, or None.
        timeout: seconds that the server may be silent.

    Example:
        >>> from vlae_tf.serving.client.rest_connection import RestConnection
        >>> RestConnection("localhost:8501", "mnist_dynamic", 3, None, 1.0).path
        '/v1/models/mnist_dynamic/versions/3'
    """

    def __init__(self, target, model, version, label, timeout):
        self.target = target
        self.timeout = timeout
        self.path = "/v1/models/" + urllib.parse.quote(model, safe="")
        if version is not None:
            self.path += f"/versions/{version}"
        if label is not None:
            self.path += "/labels/" + urllib.parse.quote(label, safe="")

    def predict(self, signature, inputs, outputs):
        inputs = {name: to_json(value) for name, value in inputs.items()}
        request = {"signature_name": signature, "inputs": inputs}
        answer = self._call("POST", ":predict", json.dumps(request))["outputs"]
        answer = answer if len(outputs) > 1 else {outputs[0]: answer}
        return {name: from_json(value) for name, value in answer.items()}

    def signatures(self):
        definitions = self._call("GET", "/metadata")["metadata"]["signature_def"]["signature_def"]
        return {
            signature: {
                side: {name: _spec(info) for name, info in definition.get(side, {}).items()}
                for side in ("inputs", "outputs")
            }
            for signature, definition in definitions.items()
        }

    def status(self):
        states = self._call("GET", "")["model_version_status"]
        return {int(status["version"]): status["state"] for status in states}

    def close(self):
        """Nothing to do: each request has a connection of its own."""

    def _call(self, method, verb, body=None):
        try:
            connection = http.client.HTTPConnection(self.target, timeout=self.timeout)
            try:
                connection.request(
                    method, self.path + verb, body, {"Content-Type": "application/json"}
                )
                response = connection.getresponse()
                status, text = response.status, response.read()
            finally:
                connection.close()
        except TimeoutError as error:
            raise ServingError("DEADLINE_EXCEEDED", str(error)) from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise ServingError("UNAVAILABLE", repr(error)) from error
        try:
            answer = json.loads(text)
        except ValueError as error:
            excerpt = text[:200].decode(errors="replace")
            code = _CODES.get(status, "UNKNOWN")
            raise ServingError(code, f"HTTP status {status}, without JSON: {excerpt}") from error
        if status != 200:
            message = answer.get("error", answer) if isinstance(answer, dict) else answer
            raise ServingError(_CODES.get(status, "UNKNOWN"), str(message))
        return answer


def _spec(info):
    """Type and shape of a `TensorInfo` in JSON; None for a size that is free."""
    dtype = info.get("dtype", "").removeprefix("DT_").lower()
    shape = info.get("tensor_shape", {})
    sizes = [int(dim.get("size", 0)) for dim in shape.get("dim", [])]
    return {
        "dtype": _TYPES.get(dtype, dtype),
        "shape": None if shape.get("unknown_rank") else tuple(n if n >= 0 else None for n in sizes),
    }

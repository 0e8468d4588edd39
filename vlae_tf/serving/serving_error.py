import logging
import reprlib

_STATUS = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "TOO_LARGE": 413,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class ServingError(Exception):
    """A request that failed, with the name of its gRPC status code.

    Args:
        code: such as "INVALID_ARGUMENT" or "NOT_FOUND"; REST has an HTTP status for each.
        message: what was expected and received, cut after 1,000 characters: it travels in a header.

    Example:
        >>> from vlae_tf.serving.serving_error import ServingError
        >>> ServingError("NOT_FOUND", "no such model").code
        'NOT_FOUND'
    """

    def __init__(self, code, message):
        super().__init__(message[:1000])
        self.code = code

    @property
    def status(self):
        """The HTTP status of the code."""
        return _STATUS.get(self.code, 500)


def invalid(name, expected, received, code="INVALID_ARGUMENT"):
    """The `ServingError` that says which part of a request is wrong, to be raised.

    Args:
        name: name of the part.
        expected: what it must be, such as "a positive integer".
        received: a value, which is shortened, or words about it.
        code: name of the status.
    """
    shown = received if isinstance(received, str) else reprlib.repr(received)
    return ServingError(code, f"`{name}` must be {expected}. Received: {name}={shown}")


def chosen(name, options, asked, code="INVALID_ARGUMENT"):
    """What `options`, a dict, has under the key `asked`.

    Raises:
        ServingError: if there is no such key, with all that there are.
    """
    if asked not in options:
        keys = ", ".join(map(str, sorted(options)))
        expected = f"one of {keys}" if keys else "left out: there are none here"
        raise invalid(name, expected, asked, code)
    return options[asked]


def told(error):
    """The `ServingError` that a client is told of any exception; the log has the others."""
    if isinstance(error, ServingError):
        # The traceback would keep the request's model in memory, wherever the error is kept.
        return error.with_traceback(None)
    logging.getLogger(__name__).error("A request failed", exc_info=error)
    return ServingError("INTERNAL", "The request failed; the server's log says why")

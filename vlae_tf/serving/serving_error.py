class ServingError(Exception):
    """A request that has no answer: the name of gRPC's status code, and what was expected.

    Args:
        code: such as "INVALID_ARGUMENT" or "NOT_FOUND"; REST has an HTTP status for each.
        message: cut after 1,000 characters, since it travels in a header.

    Example:
        >>> from vlae_tf.serving.serving_error import ServingError
        >>> ServingError("NOT_FOUND", "no such model").code
        'NOT_FOUND'
    """

    def __init__(self, code, message):
        super().__init__(message[:1000])
        self.code = code


def need(package):
    """Raises an error that says what to install, unless `package` can be imported."""
    import importlib.util

    if importlib.util.find_spec(package) is None:
        raise ImportError(
            f"gRPC, the local server and warm-up requests need the package {package!r}: "
            "pip install 'vlae_tf[serving]'"
        )

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

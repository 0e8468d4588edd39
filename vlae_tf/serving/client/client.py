import numpy as np

from vlae_tf.serving.serving_error import ServingError

# What the client asked wrongly: everything else is the server's, or the way to it.
_MISTAKES = (
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
)


class Client:
    """A served model: its methods take and give NumPy arrays, as those of a `VLAE` in Python do.

    Args:
        address: `grpc://host:port` or `http://host:port`; TensorFlow Serving's ports are 8500 for
            gRPC and 8501 for REST.
        model: its name.
        version: number of a version; the highest unless given.
        label: of a version, such as "stable".
        timeout: seconds that a request may take.
        batch_size: rows sent in one request: longer inputs are sent in several.

    Raises:
        ValueError: for an argument that cannot be, here or when the server says so.
        ConnectionError: if no server answers at the address.
        TimeoutError: if the answer takes too long.
        OSError: if the server cannot answer for another reason.
        ImportError: for gRPC, if the packages of the extra `serving` are not installed.

    Example:
        >>> import tensorflow as tf
        >>> from vlae_tf.serving import Client, Server
        >>> flip = tf.function(lambda image: {"image": 1 - image})
        >>> flip = flip.get_concrete_function(tf.TensorSpec([None, 2], tf.uint8, name="image"))
        >>> tf.saved_model.save(tf.Module(), "served/flip/1", signatures={"flip": flip})
        >>> with Server("served", port=0, rest_port=0) as server:
        ...     with Client(server.rest_address, "flip", version=1) as client:
        ...         client.predict("flip", image=[[0, 1]])
        {'image': array([[1, 0]], dtype=uint8)}
    """

    def __init__(self, address, model, version=None, label=None, timeout=60.0, batch_size=64):
        scheme, separator, target = str(address).partition("://")
        if scheme not in ("grpc", "http") or not target.strip("/"):
            raise ValueError(
                "`address` must be grpc://host:port or http://host:port. "
                f"Received: address={address!r}"
            )
        if version is not None and label is not None:
            raise ValueError(
                "`version` and `label` exclude each other. "
                f"Received: version={version!r}, label={label!r}"
            )
        if not timeout > 0:
            raise ValueError(f"`timeout` must be positive. Received: timeout={timeout!r}")
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be positive. Received: batch_size={batch_size!r}")
        if scheme == "grpc":
            from vlae_tf.serving.client.grpc_connection import GrpcConnection as Connection
        else:
            from vlae_tf.serving.client.rest_connection import RestConnection as Connection
        self.address = address
        self.model = model
        self.timeout = timeout
        self.batch_size = batch_size
        self._connection = Connection(target.strip("/"), model, version, label, timeout)
        self._signatures = None
        self._levels = None

    def encode(self, images):
        """The codes of images, float32 `(batch, latent_dim)`: the means of the posterior.

        Args:
            images: `(batch, height, width, channels)`, of the model's levels.
        """
        return self._rows("encode", image=self._images(images))["code"]

    def decode(self, code, seed=0):
        """Images drawn from p(x | z), uint8 of the model's levels.

        Args:
            code: `(batch, latent_dim)`.
            seed: an integer, or one for each row. The images are those of `VLAE.decode`.
        """
        code = _not_empty("code", np.asarray(code, "float32"))
        return self._rows("decode", code=code, seed=_seeds(seed, len(code)))["image"]

    def reconstruct(self, images, seed=0):
        """Images drawn from p(x | z) at the codes of `images`, uint8 of the model's levels."""
        images = self._images(images)
        return self._rows("reconstruct", image=images, seed=_seeds(seed, len(images)))["image"]

    def sample(self, n, seed=0, temperature=1.0):
        """`n` new images, uint8 of the model's levels.

        Args:
            n: number of images.
            seed: an integer, or one for each image. The images are those of `VLAE.sample`.
            temperature: scale of the prior's noise, or one for each image.
        """
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"`n` must be a positive integer. Received: n={n!r}")
        temperatures = np.broadcast_to(np.asarray(temperature, "float32"), n)
        if not (temperatures >= 0).all():
            raise ValueError(
                f"`temperature` must be at least 0. Received: temperature={temperature!r}"
            )
        return self._rows("sample", seed=_seeds(seed, n), temperature=temperatures)["image"]

    def log_prob(self, images, seed=0):
        """log p(x) in nats, float32 `(batch,)`, from as many codes as were fixed at export."""
        images = self._images(images)
        return self._rows("log_prob", image=images, seed=_seeds(seed, len(images)))["log_prob"]

    def predict(self, signature, **inputs):
        """The whole answer of any signature, in one request, as a dict of arrays.

        Args:
            signature: its name.
            inputs: arrays, which are sent in the types of the signature.
        """
        specs = self._signature(signature)
        taken, given = specs["inputs"], specs["outputs"]
        if set(inputs) != set(taken):
            raise ValueError(
                f"`inputs` must be named {', '.join(sorted(taken))}. "
                f"Received: inputs named {', '.join(sorted(inputs)) or 'nothing'}"
            )
        arrays = {name: _cast(name, value, taken[name]["dtype"]) for name, value in inputs.items()}
        answer = self._ask(lambda: self._connection.predict(signature, arrays, list(given)))
        return {
            name: np.asarray(answer[name], _numpy_type(spec["dtype"]))
            for name, spec in given.items()
        }

    def signatures(self):
        """What the model takes and gives: `{signature: {"inputs" or "outputs": {name: spec}}}`.

        A spec has the "dtype", a string, and the "shape", with None where any size will do. They
        are asked for once.
        """
        if self._signatures is None:
            definitions = self._ask(self._connection.signatures)
            self._signatures = {
                signature: {
                    side: {name: _spec(info) for name, info in definition.get(side, {}).items()}
                    for side in ("inputs", "outputs")
                }
                for signature, definition in definitions.items()
                # That which the loader runs first has no types, and is for no one else.
                if not signature.startswith("__")
            }
        return self._signatures

    def levels(self):
        """How many levels a pixel of the model has: 2, or 256."""
        if self._levels is None:
            # A binary model answers nothing but NaN to what is not of 0 and 1. The code alone does
            # not tell: it may be empty.
            answer = self.predict("encode", image=np.full((1, *self._image_shape()), 255))
            nothing = all(np.isnan(value).all() for value in answer.values())
            self._levels = 2 if nothing else 256
        return self._levels

    def status(self):
        """The state of each version, `{version: state}`, such as "AVAILABLE"."""
        return self._ask(self._connection.status)

    def close(self):
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _signature(self, name):
        specs = self.signatures()
        if name not in specs:
            raise ValueError(
                f"`signature` must be one of {', '.join(sorted(specs))}. "
                f"Received: signature={name!r}"
            )
        return specs[name]

    def _image_shape(self):
        return self._signature("encode")["inputs"]["image"]["shape"][1:]

    def _images(self, images):
        """The images as uint8, at least one, of the model's levels."""
        images = _not_empty("images", _integers("images", images, "uint8"))
        # Every model takes 0 and 1: only other images are worth asking the server for its levels.
        if images.max() > 1:
            from vlae_tf.checks import check_images

            check_images(images, self._image_shape(), self.levels())
        return images

    def _rows(self, signature, **inputs):
        """`predict` in several requests of `batch_size` rows, which gives the same answer."""
        count = len(next(iter(inputs.values())))
        parts = [slice(i, i + self.batch_size) for i in range(0, count, self.batch_size)]
        answers = [
            self.predict(signature, **{name: value[part] for name, value in inputs.items()})
            for part in parts
        ]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def _ask(self, request):
        try:
            return request()
        except ServingError as error:
            where = f"address={self.address!r}, model={self.model!r}"
            if error.code == "UNAVAILABLE":
                raise ConnectionError(
                    "`address` must be that of a running server: start one with `vlae-tf serve`, "
                    "or check host and port (TensorFlow Serving has gRPC at 8500 and REST at "
                    f"8501). Received: {where}, which failed with: {error}"
                ) from error
            if error.code == "DEADLINE_EXCEEDED":
                raise TimeoutError(
                    "`timeout` must leave time for the answer: give more of it, or fewer rows "
                    f"at a time by `batch_size`. Received: timeout={self.timeout}, {where}"
                ) from error
            if error.code in _MISTAKES:
                raise ValueError(f"{error} ({where})") from error
            raise OSError(f"The server failed with {error.code}: {error} ({where})") from error


# Protocol buffers' names of types where they are not NumPy's.
_DTYPES = {"float": "float32", "double": "float64", "half": "float16"}
# What NumPy has for types that it lacks.
_NUMPY = {"string": "object", "bfloat16": "float32"}


def _spec(info):
    """The type and shape that a `TensorInfo` has, from its JSON."""
    dtype = info["dtype"].removeprefix("DT_").lower()
    shape = info.get("tensor_shape", {})
    dims = [int(dim.get("size", 0)) for dim in shape.get("dim", [])]
    return {
        "dtype": _DTYPES.get(dtype, dtype),
        "shape": None if shape.get("unknown_rank") else tuple(d if d >= 0 else None for d in dims),
    }


def _numpy_type(dtype):
    return np.dtype(_NUMPY.get(dtype, dtype))


def _cast(name, value, dtype):
    dtype = _numpy_type(dtype)
    return _integers(name, value, dtype) if dtype.kind in "iu" else np.asarray(value, dtype)


def _integers(name, value, dtype):
    """An array of integers with the values of `value`."""
    array = np.asarray(value)
    # Refused below by what comes of them: NumPy warns of NaN and of what is out of range.
    with np.errstate(invalid="ignore"):
        cast = array.astype(dtype)
    if array.dtype.kind not in "iufb" or not np.array_equal(cast, array):
        raise ValueError(
            f"`{name}` must have values that {np.dtype(dtype)} has. "
            f"Received: {name} of type {array.dtype}"
        )
    return cast


def _not_empty(name, array):
    if not array.size:
        raise ValueError(
            f"`{name}` must have at least one row. Received: {name} of shape {array.shape}"
        )
    return np.atleast_1d(array)


def _seeds(seed, count):
    from vlae_tf.seeds import row_seeds

    return row_seeds(seed, count)

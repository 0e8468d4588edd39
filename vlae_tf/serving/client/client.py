import os
from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from vlae_tf.checks import check_images, check_integer, check_number, check_temperatures, refuse
from vlae_tf.files import PathLike
from vlae_tf.seeds import row_seeds
from vlae_tf.serving.serving_error import ServingError

# Mistakes in the request; all other codes are failures of the server or of the connection.
_MISTAKES = (
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
)


class Client:
    """A served model: its methods take and give NumPy arrays, as those of a `VAE` in Python do.

    It needs NumPy for REST, grpcio and protobuf for gRPC, Pillow for pictures, and never
    TensorFlow. Where a method takes images, it takes the path of own images too: a picture, a file
    of arrays or a folder (`vlae_tf.pictures.own_images`). They are brought to the model's size and,
    for a binary model, made binary (`vlae_tf.pictures.thresholded`).

    Args:
        address: `grpc://host:port` or `http://host:port`; TensorFlow Serving's ports are 8500 for
            gRPC and 8501 for REST.
        model: name of the model.
        version: number of the version to ask; the highest unless given.
        label: label of the version to ask, such as "stable"; instead of `version`.
        timeout: seconds that a request may take.
        batch_size: rows sent in one request; longer inputs are sent in several.

    Raises:
        ValueError: for an invalid argument, here or where the server refuses it.
        ConnectionError: if no server answers at the address.
        TimeoutError: if the answer takes too long.
        OSError: if the server fails for another reason.
        ImportError: for gRPC, if grpcio is not installed (the extra `serving` has it).

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

    def __init__(
        self,
        address: str,
        model: str,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 60.0,
        batch_size: int = 64,
    ) -> None:
        scheme, _, target = str(address).partition("://")
        if scheme not in ("grpc", "http") or not target.strip("/"):
            refuse("address", "grpc://host:port or http://host:port", address)
        if version is not None and label is not None:
            raise ValueError(
                "`version` and `label` exclude each other. "
                f"Received: version={version!r}, label={label!r}"
            )
        if scheme == "http":
            from vlae_tf.serving.client.rest_connection import RestConnection

            connect: Callable = RestConnection
        else:
            from vlae_tf.serving.client.grpc_connection import GrpcConnection

            connect = GrpcConnection
        self.address = address
        self.model = model
        self.timeout = check_number(timeout, "timeout", above=0)
        self.batch_size = check_integer(batch_size, "batch_size", least=1)
        self._connection = connect(target.strip("/"), model, version, label, timeout)
        self._signatures: dict[str, dict] | None = None
        self._about: dict | None = None

    def encode(self, images: PathLike | ArrayLike) -> np.ndarray:
        """The codes of images, float32 `(batch, latent_dim)`: the centre of the posterior.

        Args:
            images: `(batch, height, width, channels)`, pixels of the model's levels; or a path.
        """
        return self._rows("encode", image=self._images(images))["code"]

    def decode(self, code: ArrayLike, seed: ArrayLike = 0) -> np.ndarray:
        """Images drawn from p(x | z), uint8 of the model's levels.

        Args:
            code: `(batch, latent_dim)`.
            seed: an integer, or one for each row. The images are those of `VAE.decode`.
        """
        code = _not_empty("code", np.asarray(code, "float32"))
        return self._rows("decode", code=code, seed=row_seeds(seed, len(code)))["image"]

    def reconstruct(self, images: PathLike | ArrayLike, seed: ArrayLike = 0) -> np.ndarray:
        """Images drawn from p(x | z) at the codes of `images`, uint8 of the model's levels."""
        images = self._images(images)
        return self._rows("reconstruct", image=images, seed=row_seeds(seed, len(images)))["image"]

    def sample(self, n: int, seed: ArrayLike = 0, temperature: ArrayLike = 1.0) -> np.ndarray:
        """`n` new images, uint8 of the model's levels.

        Args:
            n: number of images.
            seed: an integer, or one for each image. The images are those of `VAE.sample`.
            temperature: scale of the prior's noise: a number, or one for each image.
        """
        seeds = row_seeds(seed, check_integer(n, "n", least=1))
        temperatures = check_temperatures(temperature, n)
        return self._rows("sample", seed=seeds, temperature=temperatures)["image"]

    def log_prob(self, images: PathLike | ArrayLike, seed: ArrayLike = 0) -> np.ndarray:
        """log p(x), nats, float32 `(batch,)`; the number of codes it averages is set at export."""
        images = self._images(images)
        return self._rows("log_prob", image=images, seed=row_seeds(seed, len(images)))["log_prob"]

    def predict(self, signature: str, **inputs: ArrayLike) -> dict[str, np.ndarray]:
        """The whole answer of any signature, in one request, as a dict of arrays.

        Args:
            signature: name of the signature.
            inputs: arrays, which are converted to the signature's types.
        """
        specs = self._signature(signature)
        taken, given = specs["inputs"], specs["outputs"]
        if set(inputs) != set(taken):
            names = f"inputs named {', '.join(sorted(inputs)) or 'nothing'}"
            refuse("inputs", f"named {', '.join(sorted(taken))}", inputs, received=names)
        arrays = {name: _cast(name, value, taken[name]["dtype"]) for name, value in inputs.items()}
        rows = {len(array) for array in arrays.values() if array.ndim}

        def answer():
            found = self._connection.predict(signature, arrays, list(given))
            return {name: _received(name, found[name], spec, rows) for name, spec in given.items()}

        return self._ask(answer)

    def signatures(self) -> dict[str, dict]:
        """Inputs and outputs: `{signature: {"inputs" or "outputs": {name: spec}}}`.

        A spec has the "dtype", a string, and the "shape", with None for a size that is free. The
        server is asked once.
        """
        if self._signatures is None:
            signatures = self._ask(self._connection.signatures)
            # A name with underscores is the loader's own, for its first run.
            self._signatures = {k: v for k, v in signatures.items() if not k.startswith("__")}
        return self._signatures

    def about(self) -> dict:
        """Facts about the model, of which the server is asked once.

        A dict of `levels` (of a pixel: 2 or 256), `image_shape`, `latent_dim`, `importance_samples`
        (of `log_prob`), and `weights`, their SHA-256 in hexadecimal digits; for a model whose prior
        has clusters also `clusters`, a list of their number in each rung.
        """
        if self._about is None:
            answer = self.predict("about", seed=[0])
            facts = {name: value[0].tolist() for name, value in answer.items() if name != "weights"}
            shape, weights = tuple(facts["image_shape"]), answer["weights"][0].decode()
            self._about = facts | {"image_shape": shape, "weights": weights}
        return self._about

    def status(self) -> dict[int, str]:
        """The state of each version, `{version: state}`, such as "AVAILABLE"."""
        return self._ask(self._connection.status)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _signature(self, name):
        specs = self.signatures()
        if name not in specs:
            refuse("signature", f"one of {', '.join(sorted(specs))}", name)
        return specs[name]

    def _images(self, images):
        """`images` as uint8, if there is at least one and all have the model's levels."""
        if isinstance(images, str | os.PathLike):
            from vlae_tf.pictures import own_images, thresholded

            images = own_images(images, image_shape=self.about()["image_shape"])
            images = thresholded(images) if self.about()["levels"] == 2 else images
        images = _not_empty("images", _integers("images", images, "uint8"))
        # Every model takes 0 and 1: the server is asked for its levels only for other pixels.
        if images.max() > 1:
            check_images(images, self.about()["image_shape"], self.about()["levels"])
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
                    "`address` must be that of a server that runs and takes requests: start one "
                    "with `vlae-tf serve`, or check host and port (TensorFlow Serving has gRPC at "
                    f"8500 and REST at 8501). Received: {where}, which failed with: {error}"
                ) from error
            if error.code == "DEADLINE_EXCEEDED":
                raise TimeoutError(
                    "No answer within `timeout` seconds. Raise it, or lower `batch_size`. "
                    f"Received: timeout={self.timeout}, {where}"
                ) from error
            if error.code in _MISTAKES:
                raise ValueError(f"{error} ({where})") from error
            raise OSError(f"The server failed with {error.code}: {error} ({where})") from error
        # Nothing else is done here but to read what came, which may be anything.
        except Exception as error:
            raise OSError(
                "The server's answer must be TensorFlow Serving's, as its signatures say. "
                f"Received: {error!r} (address={self.address!r}, model={self.model!r})"
            ) from error


def _received(name, value, spec, rows):
    """An output as an array, if it has the shape of its signature, and as many rows as were sent.

    Args:
        name: name of the output.
        value: what came.
        spec: its "dtype" and "shape".
        rows: set of the numbers of rows that were sent.
    """
    array, shape = _cast(name, value, spec["dtype"]), spec["shape"]
    fits = shape is None or len(shape) == array.ndim
    fits = fits and all(n in (None, m) for n, m in zip(shape or (), array.shape, strict=False))
    if not fits or shape and shape[0] is None and len(rows) == 1 and len(array) not in rows:
        refuse(name, f"of shape {shape}, of {rows} rows", value, f"shape {array.shape}")
    return array


# NumPy's types for those that it lacks.
_NUMPY = {"string": "object", "bfloat16": "float32"}


def _numpy_type(dtype):
    return np.dtype(_NUMPY.get(dtype, dtype))


def _cast(name, value, dtype):
    dtype = _numpy_type(dtype)
    return _integers(name, value, dtype) if dtype.kind in "iu" else np.asarray(value, dtype)


def _integers(name, value, dtype):
    """`value` as an array of an integer type that has all its values."""
    array = np.asarray(value)
    # NumPy warns of NaN and of values out of range, which are refused below.
    with np.errstate(invalid="ignore"):
        cast = array.astype(dtype)
    if array.dtype.kind not in "iufb" or not np.array_equal(cast, array):
        received = f"{name} of type {array.dtype}"
        refuse(name, f"integers that {np.dtype(dtype)} can hold", value, received)
    return cast


def _not_empty(name, array):
    if not array.size:
        raise ValueError(
            f"`{name}` must have at least one row. Received: {name} of shape {array.shape}"
        )
    return np.atleast_1d(array)

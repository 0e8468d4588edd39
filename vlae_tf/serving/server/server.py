import dataclasses
import logging
import socket
import threading
import time

from vlae_tf.checks import check_installed, check_integer, check_number
from vlae_tf.files import PathLike

# Requests at a time, for each protocol, and the seconds that one may wait over REST.
_REQUESTS, _SECONDS = 128, 60


@dataclasses.dataclass(eq=False)
class Server:
    """Serves SavedModels on this machine as TensorFlow Serving does, for development and tests.

    It has the same version folders, models.config, gRPC and REST interfaces, and serves any
    SavedModel whose inputs are rows. It joins no requests and has no metrics. A new version is
    loaded beside the one before, which ends with its last request. Of 128 requests at a time 4 are
    computed, and more are refused; none starts whose client is gone or whose time is over.

    Args:
        folder: folder of a model's versions, or with such a folder for each model.
        models_config: file in TensorFlow Serving's format that lists the models, read again at each
            look for new versions. `folder` stands for `/models` in it.
        host: address to listen on; any but this machine's own lets other machines ask.
        port, rest_port: ports of gRPC and of REST; 0 for any free one.
        poll_seconds: time between two looks for new versions; 0 for looks by `models.refresh`.
        max_rows: largest number of rows of a request.
        max_request_bytes: largest size of a request, less than 2 GiB (gRPC's bound).
        model_control: whether a client may choose which models below `folder` are served.

    Raises:
        ValueError: for an invalid argument.
        OSError: if the folder cannot be read, or a port is taken.
        ImportError: if the packages of the extra `serving` are not installed.

    Example:
        >>> import tensorflow as tf, vlae_tf
        >>> double = tf.function(lambda x: {"y": 2 * x})
        >>> double = double.get_concrete_function(tf.TensorSpec([None], tf.float32, name="x"))
        >>> tf.saved_model.save(tf.Module(), "served/double/1", signatures=double)
        >>> with vlae_tf.serving.Server("served", port=0, rest_port=0) as server:
        ...     with vlae_tf.serving.Client(server.grpc_address, "double") as client:
        ...         client.predict("serving_default", x=[1.0, 2.0])
        {'y': array([2., 4.], dtype=float32)}
    """

    folder: PathLike | None = None
    models_config: PathLike | None = None
    host: str = "127.0.0.1"
    port: int = 8500
    rest_port: int = 8501
    poll_seconds: float = 1.0
    max_rows: int = 256
    max_request_bytes: int = 16 * 2**20
    model_control: bool = False

    def __post_init__(self):
        for package in ("grpc", "starlette", "tensorflow_serving", "uvicorn"):
            check_installed(package, "serving", "The local server")
        if self.folder is None and (self.models_config is None or self.model_control):
            raise ValueError("`folder` or `models_config` must be given. Received: neither")
        check_number(self.poll_seconds, "poll_seconds", least=0)
        check_integer(self.max_rows, "max_rows", least=1)
        check_integer(self.max_request_bytes, "max_request_bytes", least=1, below=2**31)
        from vlae_tf.serving.server.models import Models

        self.models = Models(self.folder, self.models_config, self.max_rows, self.model_control)
        self._stopping = threading.Event()

    def start(self):
        """Loads the models, and then opens the ports and answers requests in threads."""
        import uvicorn

        from vlae_tf.serving.server.grpc_server import grpc_server
        from vlae_tf.serving.server.rest_app import rest_app

        self.models.refresh()
        self._grpc = grpc_server(self.models, self.max_request_bytes, _REQUESTS)
        host = f"[{self.host}]" if ":" in self.host else self.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        name = "port"
        try:
            self.port = self._grpc.add_insecure_port(f"{host}:{self.port}")
            name = "rest_port"
            listener = socket.create_server((self.host, self.rest_port), family=family)
        except (OSError, RuntimeError) as error:
            received = f"{name}={getattr(self, name)}"
            raise OSError(f"`{name}` must be free on {host}. Received: {received}") from error
        # asyncio does so for the sockets it makes; an answer of two writes would wait 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest_port = listener.getsockname()[1]
        app = rest_app(self.models, self.max_request_bytes, _REQUESTS, _SECONDS)
        options = {"http": "h11", "ws": "none", "lifespan": "off", "log_config": None}
        config = uvicorn.Config(app, limit_concurrency=8 * _REQUESTS, access_log=False, **options)
        self._rest = uvicorn.Server(config)
        rest = threading.Thread(target=self._rest.run, args=[[listener]], daemon=True)
        self._threads = [rest, threading.Thread(target=self._poll, daemon=True)]
        self.grpc_address = f"grpc://{host}:{self.port}"
        self.rest_address = f"http://{host}:{self.rest_port}"
        self._grpc.start()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self, grace=10.0):
        """Takes no more requests, gives those in flight `grace` seconds, and says if all ended."""
        end = time.monotonic() + grace
        self._stopping.set()
        self._rest.config.timeout_graceful_shutdown = grace
        self._rest.should_exit = True
        ended = self._grpc.stop(grace).wait(grace)
        for thread in self._threads:
            thread.join(max(0, end - time.monotonic()))
        return ended and not any(thread.is_alive() for thread in self._threads)

    __enter__ = start

    def __exit__(self, *error):
        self.stop()

    def _poll(self):
        while self.poll_seconds and not self._stopping.wait(self.poll_seconds):
            try:
                self.models.refresh()
            # For example a configuration that is being edited: the served versions stay.
            except Exception as error:
                logging.getLogger(__name__).warning("Looking for new versions failed: %s", error)

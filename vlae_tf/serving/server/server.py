import logging
import threading

from vlae_tf.serving.serving_error import need

logger = logging.getLogger(__name__)


class Server:
    """Serves SavedModels on this machine as TensorFlow Serving does, for development and tests.

    The same version folders, the same models.config, the same gRPC and REST interfaces; any
    SavedModel will do. It has no metrics, and Python's speed: production is TensorFlow Serving.

    New versions are served as they appear: a version is loaded beside the one before, which goes
    when the last request that it was given is answered.

    Args:
        folder: of a model's versions, or with such a folder for each model.
        models_config: file in TensorFlow Serving's format, instead of looking for models in
            `folder`, which then stands for `/models` in it. Each look for new versions reads it.
        host: address to listen on. Whoever reaches another one than this machine's own may ask.
        port: of gRPC; 0 is any free one.
        rest_port: of REST; 0 is any free one.
        poll_seconds: time between two looks for new versions; 0 to leave that to `refresh`.
        max_request_bytes: size of a request.
        batching: file in the format of TensorFlow Serving's `--batching_parameters_file`, to join
            requests that come at the same time; each is computed by itself unless given.

    Raises:
        ValueError: for an argument that cannot be.
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

    def __init__(
        self,
        folder=None,
        models_config=None,
        host="127.0.0.1",
        port=8500,
        rest_port=8501,
        poll_seconds=1.0,
        max_request_bytes=16 * 2**20,
        batching=None,
    ):
        need("grpc")
        need("tensorflow_serving")
        if folder is None and models_config is None:
            raise ValueError("`folder` or `models_config` must be given. Received: neither")
        if not poll_seconds >= 0:
            raise ValueError(
                f"`poll_seconds` must be at least 0. Received: poll_seconds={poll_seconds!r}"
            )
        if not 1 <= max_request_bytes < 2**31:
            raise ValueError(
                "`max_request_bytes` must be from 1 to 2 GiB - 1, gRPC's own bound. "
                f"Received: max_request_bytes={max_request_bytes!r}"
            )
        from vlae_tf.serving.server.batching import Batching
        from vlae_tf.serving.server.model_manager import ModelManager
        from vlae_tf.serving.server.models_config import folder_config, read_models_config

        joined = None if batching is None else Batching.read(batching)
        if models_config is None:
            self.manager = ModelManager(lambda: folder_config(folder), joined)
        else:
            self.manager = ModelManager(lambda: read_models_config(models_config, folder), joined)
        self.host = f"[{host}]" if ":" in host else host
        self.port = port
        self.rest_port = rest_port
        self.poll_seconds = poll_seconds
        self.max_request_bytes = max_request_bytes
        self._stopping = threading.Event()

    @property
    def grpc_address(self):
        return f"grpc://{self.host}:{self.port}"

    @property
    def rest_address(self):
        return f"http://{self.host}:{self.rest_port}"

    def refresh(self):
        """Looks for new versions now, and returns when they are served."""
        self.manager.refresh()

    def start(self):
        """Loads what is there, and then answers requests, in threads of its own."""
        from vlae_tf.serving.server.grpc_server import grpc_server
        from vlae_tf.serving.server.model_service import ModelService
        from vlae_tf.serving.server.rest_server import rest_server

        # Before the ports are open, so that whoever finds one open finds the models too.
        self.refresh()
        service = ModelService(self.manager)
        limit = self.max_request_bytes
        self._grpc, self.port = grpc_server(service, self.host, self.port, limit)
        try:
            self._rest, self.rest_port = rest_server(service, self.host, self.rest_port, limit)
        except OSError:
            self._grpc.stop(None).wait()
            raise
        self._grpc.start()
        self._threads = [threading.Thread(target=self._rest.serve_forever, name="rest")]
        if self.poll_seconds:
            self._threads.append(threading.Thread(target=self._poll, name="poll"))
        for thread in self._threads:
            thread.start()
        return self

    def stop(self, grace=10.0):
        """Takes no more requests, and returns when those in flight are answered.

        Args:
            grace: seconds that gRPC gives them.
        """
        self._stopping.set()
        stopped = self._grpc.stop(grace)
        self._rest.shutdown()
        self._rest.server_close()
        stopped.wait()
        for thread in self._threads:
            thread.join()

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.stop()

    def _poll(self):
        while not self._stopping.wait(self.poll_seconds):
            try:
                self.refresh()
            # A configuration that someone is editing, say: what is served goes on.
            except Exception as error:
                logger.warning("Looking for new versions failed: %s", error)

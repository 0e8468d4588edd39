import logging
import threading

from vlae_tf.checks import check_installed, check_integer, check_number

logger = logging.getLogger(__name__)


class Server:
    """Serves SavedModels on this machine as TensorFlow Serving does, for development and tests.

    It has the same version folders, models.config, gRPC and REST interfaces, and serves any
    SavedModel. It has no metrics and is slow: use TensorFlow Serving in production.

    New versions are served as they appear: a version is loaded beside the one before, which is
    unloaded when its last request is answered.

    Args:
        folder: folder of a model's versions, or with such a folder for each model.
        models_config: file in TensorFlow Serving's format that lists the models. `folder` then
            stands for `/models` in it. The file is read again at each look for new versions.
        host: address to listen on; any but this machine's own lets other machines ask.
        port: port of gRPC; 0 for any free one.
        rest_port: port of REST; 0 for any free one.
        poll_seconds: time between two looks for new versions; 0 for looks by `refresh` alone.
        max_request_bytes: largest size of a request, less than 2 GiB (gRPC's bound).
        batching: file in the format of TensorFlow Serving's `--batching_parameters_file`, to join
            requests that come at the same time; each is computed by itself unless given.

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
        for package in ("grpc", "tensorflow_serving"):
            check_installed(package, "serving", "The local server")
        if folder is None and models_config is None:
            raise ValueError("`folder` or `models_config` must be given. Received: neither")
        check_number(poll_seconds, "poll_seconds", least=0)
        check_integer(max_request_bytes, "max_request_bytes", least=1, below=2**31)
        from vlae_tf.serving.server.batching import Batching
        from vlae_tf.serving.server.model_manager import ModelManager
        from vlae_tf.serving.server.models_config import folder_config, read_models_config

        def read_config():
            if models_config is None:
                return folder_config(folder)
            return read_models_config(models_config, folder)

        self.manager = ModelManager(read_config, batching and Batching.read(batching))
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
        """Looks for new versions, and returns when they are served."""
        self.manager.refresh()

    def start(self):
        """Loads the models, and then answers requests in threads."""
        from vlae_tf.serving.server.grpc_server import grpc_server
        from vlae_tf.serving.server.model_service import ModelService
        from vlae_tf.serving.server.rest_server import rest_server

        # Before the ports open, so that the models are there for the first request.
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
            grace: seconds that requests in flight over gRPC have left.
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
            # For example a configuration that is being edited: the served versions stay.
            except Exception as error:
                logger.warning("Looking for new versions failed: %s", error)

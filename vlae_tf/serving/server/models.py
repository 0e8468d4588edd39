import ctypes
import dataclasses
import gc
import logging
import math
import pathlib
import threading
import weakref

from google.protobuf import text_format
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigResponse
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from vlae_tf.checks import refuse
from vlae_tf.saved_model.version import versions
from vlae_tf.serving.server.servable import Servable
from vlae_tf.serving.serving_error import ServingError, chosen

logger = logging.getLogger(__name__)


@dataclasses.dataclass(eq=False)
class Models:
    """The versions of models in memory, and the answers of TensorFlow Serving's two services.

    The arguments are those of `Server`. Four requests are computed at a time.
    """

    folder: str | None
    models_config: str | None = None
    max_rows: int = 256
    model_control: bool = False

    def __post_init__(self):
        # Configuration and `Servable`s by name. It is replaced, never changed: reads take no lock.
        self.served, self._ordered, self._failures = {}, None, set()
        self._refreshing, self._turns = threading.Lock(), threading.Semaphore(4)
        self._left = threading.Event()

    def refresh(self):
        """Reads configuration and folders, loads new versions and unloads old ones."""
        with self._refreshing:
            models = (self._ordered or self._read_config()).model_config_list.config
            self.served = {m.name: (m, self.served.get(m.name, (m, {}))[1]) for m in models}
            for model in models:
                try:
                    self._refresh(model)
                except OSError as error:
                    # For example a network folder that is away: the loaded versions stay.
                    logger.warning("The versions of %s cannot be listed: %s", model.name, error)
            # What is left of a version: of one whose last request ended, or that failed to load.
            if self._left.is_set():
                self._left.clear()
                # What TensorFlow loads refers to itself: Python would look for such much later.
                gc.collect()
                # glibc would keep what is freed; other C libraries have no such function.
                getattr(ctypes.pythonapi, "malloc_trim", int)(0)

    def find(self, spec):
        """The number and the `Servable` of the version that a `ModelSpec` asks for."""
        config, servables = chosen("model", self.served, spec.name, "NOT_FOUND")
        version = max(servables, default=None)
        if spec.version_label:
            version = chosen("label", config.version_labels, spec.version_label)
        elif spec.HasField("version"):
            version = spec.version.value
        return version, chosen("version", servables, version, "NOT_FOUND")

    def predict(self, request, seconds=math.inf, wanted=lambda: True):
        """The `PredictResponse`, if its turn comes within `seconds` and it is still `wanted`."""
        version, servable = self.find(request.model_spec)
        if not self._turns.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)):
            raise ServingError("DEADLINE_EXCEEDED", "The request's turn did not come in time")
        try:
            if not wanted():
                raise ServingError("CANCELLED", "The client left before the request's turn")
            response = servable.predict(request)
        finally:
            self._turns.release()
        response.model_spec.CopyFrom(request.model_spec)
        response.model_spec.version.value = version
        return response

    def metadata(self, request):
        """The `GetModelMetadataResponse`, with the signatures."""
        version, servable = self.find(request.model_spec)
        response = GetModelMetadataResponse(model_spec=request.model_spec)
        response.model_spec.version.value = version
        response.metadata["signature_def"].Pack(SignatureDefMap(signature_def=servable.definitions))
        return response

    def status(self, request):
        """The `GetModelStatusResponse`: the versions that are served, the newest first."""
        spec = request.model_spec
        numbers = [self.find(spec)[0]]
        if spec.WhichOneof("version_choice") is None:
            numbers = sorted(chosen("model", self.served, spec.name)[1], reverse=True)
        states = [{"version": n, "state": "AVAILABLE", "status": {}} for n in numbers]
        return GetModelStatusResponse(model_version_status=states)

    def reload(self, request):
        """Serves the models of a `ReloadConfigRequest` from now on, if that is allowed."""
        if not self.model_control:
            raise ServingError("PERMISSION_DENIED", "The server was started without model control")
        try:
            self._ordered = self._placed(request.config, below=True)
        except ValueError as error:
            raise ServingError("INVALID_ARGUMENT", str(error)) from error
        self.refresh()
        return ReloadConfigResponse()

    def _read_config(self):
        """The `ModelServerConfig` of the file, or of the folder with one model or several."""
        config = ModelServerConfig()
        if self.models_config is not None:
            try:
                text_format.Parse(pathlib.Path(self.models_config).read_text("utf-8"), config)
            except (text_format.ParseError, UnicodeDecodeError) as error:
                received = f"{self.models_config}, which fails with: {error}"
                refuse("models_config", "a ModelServerConfig in text form", config, received)
            return self._placed(config)
        folder = pathlib.Path(self.folder).resolve()
        if not folder.is_dir():
            expected = "`folder` must hold the versions of a model, or a folder for each model"
            raise NotADirectoryError(f"{expected}. Received: folder={str(folder)!r}")
        below = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
        for path in [folder] if any(path.name.isdecimal() for path in below) else below:
            config.model_config_list.config.add(name=path.name, base_path=str(path))
        return config

    def _placed(self, config, below=False):
        """`config` with `folder` for `/models`; all its models are `below` it if so asked."""
        models = config.model_config_list.config
        if not models or len({m.name for m in models if m.name and m.base_path}) < len(models):
            expected = "a list of models, each with a base_path and a name of its own"
            refuse("models_config", expected, [(model.name, model.base_path) for model in models])
        for model in models:
            base = pathlib.Path(model.base_path)
            if self.folder is not None and base.is_relative_to("/models"):
                base = self.folder / base.relative_to("/models")
            if below and pathlib.Path(self.folder).resolve() not in base.resolve().parents:
                refuse("base_path", "below the served folder", model.base_path)
            model.base_path = str(base)
        return config

    def _refresh(self, model):
        found = versions(pathlib.Path(model.base_path)).items()
        present = {v: path for v, path in found if (path / "saved_model.pb").is_file()}
        policy = model.model_version_policy
        newest = sorted(present)[-max(1, policy.latest.num_versions) :]
        choices = {"all": present, "specific": policy.specific.versions}
        wanted = set(choices.get(policy.WhichOneof("policy_choice"), newest)) & set(present)
        _, loaded = self.served[model.name]
        for version in sorted(wanted - set(loaded)):
            # Sizes and times of its files, which change when a file does.
            stats = [file.stat() for file in sorted(present[version].rglob("*"))]
            stamp = present[version], *((stat.st_size, stat.st_mtime_ns) for stat in stats)
            if stamp not in self._failures:
                try:
                    loaded = loaded | {version: Servable(present[version], self.max_rows)}
                    weakref.finalize(loaded[version], self._left.set)
                    logger.info("Loaded %s", present[version])
                # A SavedModel may fail in any way; the server continues without it.
                except Exception as error:
                    logger.warning("%s cannot be served: %s", present[version], str(error))
                    self._failures.add(stamp)
                    self._left.set()
        # Old versions stay until a wanted one is loaded, and until their last request is answered.
        if not wanted or wanted & set(loaded):
            loaded = {version: loaded[version] for version in wanted & set(loaded)}
        self.served = self.served | {model.name: (model, loaded)}

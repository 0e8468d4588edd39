import logging
import pathlib
import threading
import weakref

from vlae_tf.serving.server.servable import Servable
from vlae_tf.serving.serving_error import ServingError

logger = logging.getLogger(__name__)


class ModelManager:
    """Keeps in memory the versions of models that the configuration asks for.

    A new version is loaded beside the old one, which then gets no new request and is unloaded when
    its last request is answered. Where a version fails to load, the old one stays; it is tried
    again when its files change.

    Args:
        read_config: function that gives the `ModelServerConfig`; called at each `refresh`.
        batching: `Batching`, to join requests, or None.

    Example:
        >>> from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
        >>> from vlae_tf.serving.server.model_manager import ModelManager
        >>> manager = ModelManager(ModelServerConfig)
        >>> manager.refresh()
        >>> manager.names()
        []
    """

    def __init__(self, read_config, batching=None):
        self.read_config = read_config
        self.batching = batching
        self._models = {}
        # Looking up never waits for loading.
        self._lookup = threading.Lock()
        self._refreshing = threading.Lock()

    def refresh(self):
        """Reads configuration and folders, loads new versions and unloads old ones."""
        with self._refreshing:
            configs = {c.name: c for c in self.read_config().model_config_list.config}
            with self._lookup:
                self._models = {name: self._models.get(name) or _Model() for name in configs}
                for name, config in configs.items():
                    self._models[name].config = config
            for name in configs:
                model = self._models[name]
                try:
                    self._refresh(model)
                    model.listing_error = None
                except OSError as error:
                    # For example a network folder that is away: the loaded versions stay.
                    if model.listing_error != str(error):
                        logger.warning("The versions of %s cannot be listed: %s", name, error)
                    model.listing_error = str(error)

    def names(self):
        with self._lookup:
            return sorted(self._models)

    def get(self, name, version=None, label=None):
        """A version's number and `Servable`; the highest unless a number or a label is given.

        Raises:
            ServingError: if there is none.
        """
        with self._lookup:
            model = self._model(name)
            if label:
                version = model.labelled(label)
            if version is None:
                version = max(model.servables, default=None)
            if version not in model.servables:
                raise ServingError(
                    "NOT_FOUND",
                    f"`version` of {name} must be one of {sorted(model.servables) or 'none yet'}. "
                    f"Received: version={'the highest' if version is None else version}",
                )
            return version, model.servables[version]

    def states(self, name, version=None, label=None):
        """`{version: (state, error)}`, the newest first; state is a `ModelVersionStatus.State`."""
        with self._lookup:
            model = self._model(name)
            if label:
                version = model.labelled(label)
            states = model.states()
        if version is not None:
            states = {version: states[version]} if version in states else {}
        if not states:
            raise ServingError(
                "NOT_FOUND",
                f"`version` of {name} must be one that is served. "
                f"Received: version={'any' if version is None else version}, and there is none",
            )
        return states

    def _model(self, name):
        if name not in self._models:
            raise ServingError(
                "NOT_FOUND",
                f"`model` must be one of {', '.join(sorted(self._models)) or 'none yet'}. "
                f"Received: model={name!r}",
            )
        return self._models[name]

    def _refresh(self, model):
        present = _versions(pathlib.Path(model.config.base_path))
        wanted = _wanted(model.config.model_version_policy, present)
        for version in sorted(wanted - set(model.servables)):
            self._load(model, version, present[version])
        with self._lookup:
            model.failures = {v: f for v, f in model.failures.items() if v in wanted}
            # Old versions stay until a wanted one is loaded.
            if not wanted or wanted & set(model.servables):
                for version in set(model.servables) - wanted:
                    # Each request holds its servable, which ends with the last of them.
                    model.unloaded[version] = weakref.ref(model.servables.pop(version))

    def _load(self, model, version, path):
        stamp = _stamp(path)
        if model.failures.get(version, (None,))[0] == stamp:
            return
        model.loading = version
        try:
            servable = Servable(path, self.batching)
        except Exception as error:
            # A SavedModel may fail in any way; the server continues without it.
            logger.warning("%s cannot be served: %s", path, error)
            with self._lookup:
                model.failures[version] = stamp, str(error)[:1000]
        else:
            logger.info("Loaded %s", path)
            with self._lookup:
                model.failures.pop(version, None)
                model.unloaded.pop(version, None)
                model.servables[version] = servable
        finally:
            model.loading = None


class _Model:
    """The state of one model."""

    def __init__(self):
        self.config = None
        self.listing_error = None
        self.loading = None
        self.servables = {}
        self.failures = {}
        self.unloaded = {}

    def labelled(self, label):
        labels = self.config.version_labels
        if label not in labels:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"`label` of {self.config.name} must be one of "
                f"{', '.join(sorted(labels)) or 'none'}. Received: label={label!r}",
            )
        return labels[label]

    def states(self):
        states = {version: ("END", error) for version, (_, error) in self.failures.items()}
        for version, servable in self.unloaded.items():
            states[version] = ("UNLOADING" if servable() else "END", "")
        if self.loading is not None:
            states[self.loading] = ("LOADING", "")
        states |= {version: ("AVAILABLE", "") for version in self.servables}
        return dict(sorted(states.items(), reverse=True))


def _versions(folder):
    """`{version: path}` of the folders that are named by a number and hold a SavedModel."""
    return {
        int(path.name): path
        for path in folder.iterdir()
        # `isdecimal` takes digits of all scripts; the protocol has 64 bits.
        if path.name.isascii() and path.name.isdecimal() and int(path.name) < 2**63
        if (path / "saved_model.pb").is_file()
    }


def _stamp(folder):
    """Sizes and times of the folder's files, which change when a file does."""
    stats = {str(path): path.stat() for path in sorted(folder.rglob("*"))}
    return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()]


def _wanted(policy, present):
    """The versions among those present that a `ServableVersionPolicy` chooses."""
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return set(present)
    if choice == "specific":
        return set(policy.specific.versions) & set(present)
    return set(sorted(present)[-max(1, policy.latest.num_versions) :])

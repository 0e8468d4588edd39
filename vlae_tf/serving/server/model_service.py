from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
)

from vlae_tf.serving.server.models_config import check_models_config
from vlae_tf.serving.serving_error import ServingError


class ModelService:
    """TensorFlow Serving's answers about models, as the messages that both protocols share.

    Args:
        manager: a `ModelManager`.

    Example:
        >>> from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
        >>> from vlae_tf.serving.server.model_manager import ModelManager
        >>> from vlae_tf.serving.server.model_service import ModelService
        >>> service = ModelService(ModelManager(ModelServerConfig))
    """

    def __init__(self, manager):
        self.manager = manager

    def servable(self, spec):
        """The `Servable` of a `ModelSpec`, and the spec with the number of its version."""
        version, servable = self.manager.get(*_model_version_label(spec))
        answered = model_pb2.ModelSpec(name=spec.name, signature_name=spec.signature_name)
        answered.version.value = version
        return servable, answered

    def metadata(self, request):
        if list(request.metadata_field) != ["signature_def"]:
            raise ServingError(
                "INVALID_ARGUMENT",
                "`metadata_field` must be ['signature_def']. "
                f"Received: metadata_field={list(request.metadata_field)}",
            )
        servable, spec = self.servable(request.model_spec)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in servable.definitions.items():
            signatures.signature_def[name].CopyFrom(definition)
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, request):
        response = get_model_status_pb2.GetModelStatusResponse()
        states = self.manager.states(*_model_version_label(request.model_spec))
        for version, (state, error) in states.items():
            status = response.model_version_status.add(version=version, state=state)
            status.status.error_code = 2 if error else 0  # UNKNOWN, OK
            status.status.error_message = error
        return response

    def reload(self, request):
        """Serves the models of the request from now on; configuration files are no longer read."""
        try:
            check_models_config(request.config)
        except ValueError as error:
            raise ServingError("INVALID_ARGUMENT", str(error)) from error
        self.manager.read_config = lambda: request.config
        self.manager.refresh()
        return model_management_pb2.ReloadConfigResponse()


def _model_version_label(spec):
    chosen = spec.WhichOneof("version_choice")
    return (
        spec.name,
        spec.version.value if chosen == "version" else None,
        spec.version_label if chosen == "version_label" else None,
    )

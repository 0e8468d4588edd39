"""Which models to serve, from a models.config or from a folder."""

import pathlib

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

# The folder of models in TensorFlow Serving's images, and so in files written for them.
_IMAGE_ROOT = pathlib.PurePosixPath("/models")


def read_models_config(path, root=None):
    """The `ModelServerConfig` of a text file, such as TensorFlow Serving's `--model_config_file`.

    Args:
        path: name of the file.
        root: folder that stands for `/models`, where TensorFlow Serving's images have the models.

    Raises:
        ValueError: if the file has another format.
        OSError: if it cannot be read.
    """
    try:
        config = text_format.Parse(pathlib.Path(path).read_text("utf-8"), ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(
            f"`models_config` must be a ModelServerConfig in text form. Received: {path}, which "
            f"fails with: {error}"
        ) from error
    check_models_config(config)
    for model in config.model_config_list.config:
        base = pathlib.PurePosixPath(model.base_path)
        if root is not None and base.is_relative_to(_IMAGE_ROOT):
            model.base_path = str(pathlib.Path(root) / base.relative_to(_IMAGE_ROOT))
    return config


def check_models_config(config):
    """Raises a `ValueError` unless every model has a name of its own and a path."""
    models = config.model_config_list.config
    names = [model.name for model in models]
    if not names or len(set(names)) < len(names) or not all(m.name and m.base_path for m in models):
        raise ValueError(
            "`models_config` must list models, each with a base_path and a name of its own. "
            f"Received: {[(model.name, model.base_path) for model in models]}"
        )


def folder_config(folder):
    """The `ModelServerConfig` for a folder of one model's versions, or of several such folders.

    Raises:
        NotADirectoryError: if it is not a folder.
    """
    folder = pathlib.Path(folder).resolve()
    if not folder.is_dir():
        raise NotADirectoryError(
            "`folder` must hold the versions of a model, or a folder for each model. "
            f"Received: folder={str(folder)!r}"
        )
    below = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    if any(path.name.isdecimal() for path in below):
        below = [folder]
    config = ModelServerConfig()
    for path in below:
        config.model_config_list.config.add(
            name=path.name, base_path=str(path), model_platform="tensorflow"
        )
    return config

"""What a run has left behind."""

import json
import pathlib

import keras

from vlae_tf import models
from vlae_tf.checks import check_dtype
from vlae_tf.files import load_weights, sha256


def load_run(folder, dtype=None):
    """The `VLAE` that a run trained, with its averaged weights.

    It can be loaded while the run goes on: it is then the model after the last whole epoch.

    Args:
        folder: of the run, with `config.json` and `model.weights.h5`.
        dtype: policy of the convolutions, "float32" or "mixed_bfloat16"; the run's own unless
            given. What the model keeps in float32 stays so.

    Raises:
        ValueError: for another policy, or if a file is missing or damaged, or the weights are not
            those of the model.

    Example:
        >>> from vlae_tf.runs import load_run
        >>> load_run("no/such/run")
        Traceback (most recent call last):
        ValueError: `folder` must be that of a run, with a config.json. Received: folder='no...
    """
    path = pathlib.Path(folder) / "config.json"
    if not path.is_file():
        raise ValueError(
            f"`folder` must be that of a run, with a config.json. Received: folder={str(folder)!r}"
        )
    if dtype is not None:
        check_dtype(dtype)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        config.pop("compile_config", None)
        if dtype is not None:
            for part in ("dtype", "encoder", "decoder", "likelihood_family"):
                config["config"][part] = _with_policy(config["config"][part], dtype)
        model = keras.saving.deserialize_keras_object(config)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} must hold a serialised model. Received: {error}") from error
    if not isinstance(model, models.VLAE):
        raise ValueError(f"{path} must hold a VLAE. Received: a {type(model).__name__}")
    load_weights(model, path.with_name("model.weights.h5"))
    return model


def load_hashed_run(folder, dtype=None):
    """As `load_run`, with the sha256 of the weights: of one epoch, though the run may go on."""
    weights = pathlib.Path(folder) / "model.weights.h5"
    while True:
        before = sha256(weights) if weights.is_file() else None
        model = load_run(folder, dtype)
        if sha256(weights) == before:
            return model, before


def model_config(model):
    """The text of `config.json`: the model alone, without what it was compiled with."""
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    return json.dumps(config, indent=2) + "\n"


def _with_policy(config, dtype):
    """`config` with every dtype policy in it replaced."""
    if isinstance(config, list):
        return [_with_policy(value, dtype) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return {**config, "config": {**config["config"], "name": dtype}}
    return {key: _with_policy(value, dtype) for key, value in config.items()}

"""What a run has left behind."""

import json
import pathlib

import keras

from vlae_tf import models
from vlae_tf._version import __version__
from vlae_tf.checks import check_dtype
from vlae_tf.files import load_weights, read_json, sha256

# These compute in the model's policy; what else a model has keeps float32.
_OF_ANY_DTYPE = ("dtype", "encoder", "decoder", "likelihood_family")


def load_run(folder, dtype=None):
    """The `VAE` that a run trained, with its averaged weights.

    While the run continues, it is the model after the last whole epoch.

    Args:
        folder: folder of the run, with `config.json` and `model.weights.h5`.
        dtype: policy of the networks, "float32" or "mixed_bfloat16"; the run's own unless given.
            What the model keeps in float32 stays so.

    Raises:
        ValueError: for another policy, a missing or damaged file, files of version 0.1, or weights
            of another model.

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
        config = read_json(path, "a serialised model")
        _check_version(config.pop("vlae_tf_version", None))
        config.pop("compile_config", None)
        if dtype is not None:
            for part in _OF_ANY_DTYPE:
                config["config"][part] = _with_policy(config["config"][part], dtype)
        model = keras.saving.deserialize_keras_object(config)
    # A damaged file may make Keras raise anything.
    except Exception as error:
        raise ValueError(f"{path} must hold a serialised model. Received: {error}") from error
    if not isinstance(model, models.VAE):
        raise ValueError(f"{path} must hold a VAE. Received: a {type(model).__name__}")
    load_weights(model, path.with_name("model.weights.h5"))
    return model


def _check_version(version):
    """Raises a `ValueError` unless this version of vlae_tf reads the files of that one."""
    # Version 0.1 did not write its own.
    version = "0.1" if version is None else version
    try:
        mine, theirs = (tuple(map(int, v.split(".")[:2])) for v in (__version__, str(version)))
    except ValueError:
        mine, theirs = (0, 0), (0, 0)
    if not (0, 2) <= theirs <= mine:
        raise ValueError(
            f"a model of version {version} of vlae_tf, which version {__version__} does not read: "
            "load it with that version, or train it again"
        )


def load_hashed_run(folder, dtype=None):
    """`load_run`, and the sha256 of the weights: both of one epoch, even if the run continues."""
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
    return json.dumps({"vlae_tf_version": __version__, **config}, indent=2) + "\n"


def _with_policy(config, dtype):
    """`config` with every dtype policy in it replaced.

    A `DTypePolicyMap` would have to be put into the same places: a part is made of its config
    alone, before it has a path in the model by which a map finds its policy.
    """
    if isinstance(config, list):
        return [_with_policy(value, dtype) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return {**config, "config": {**config["config"], "name": dtype}}
    return {key: _with_policy(value, dtype) for key, value in config.items()}

"""A model as a folder of data: config.json, model.weights.h5, and no code."""

import json

import keras

from vlae_tf._version import __version__
from vlae_tf.backend import check_double_precision
from vlae_tf.checks import check_dtype
from vlae_tf.files import load_weights, read_json, reading, sha256
from vlae_tf.models.allowed import check_classes
from vlae_tf.records import read_metrics

# These compute in the model's policy; what else a model has keeps float32, unless all is float64.
_OF_ANY_DTYPE = ("dtype", "encoder", "decoder", "likelihood_family")


def read_model(folder, kind, dtype=None, with_weights=True):
    """The model of a folder.

    Where the folder is an entry of a zoo, the weights must be those that were evaluated.

    Args:
        folder: `pathlib.Path` of a folder with `config.json` and `model.weights.h5`.
        kind: class that the model must be of.
        dtype: policy of the networks, "float32" or "mixed_bfloat16"; that of the config by default.
            "float64" is that of the whole model.
        with_weights: whether to load the weights; without, they are as before training.

    Raises:
        ValueError: for another policy, a missing or damaged file, classes that a file from
            elsewhere may not name, files of version 0.1, weights of another model, or weights that
            are not those that were evaluated.
    """
    path = folder / "config.json"
    if dtype is not None:
        check_double_precision() if dtype == "float64" else check_dtype(dtype)
    if with_weights:
        _check_evaluated(folder)
    try:
        config = read_json(path, "a serialised model")
        _check_version(config.pop("vlae_tf_version", None))
        config.pop("compile_config", None)
        if dtype is not None:
            for part in config["config"] if dtype == "float64" else _OF_ANY_DTYPE:
                config["config"][part] = _with_policy(config["config"][part], dtype)
        check_classes(config)
        model = keras.saving.deserialize_keras_object(config)
    # A damaged file may make Keras raise anything.
    except Exception as error:
        raise ValueError(f"{path} must hold a serialised model. Received: {error}") from error
    if not isinstance(model, kind):
        raise ValueError(f"{path} must hold a {kind.__name__}. Received: a {type(model).__name__}")
    if with_weights:
        load_weights(model, folder / "model.weights.h5")
    return model


def model_config(model):
    """The text of `config.json`: the model alone, without what it was compiled with."""
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    return json.dumps({"vlae_tf_version": __version__, **config}, indent=2) + "\n"


def read_part(folder, name):
    """A part of a folder's model, such as its `likelihood_family`: no weights are read."""
    path = folder / "config.json"
    with reading(path, "a serialised model"):
        config = read_json(path, "a serialised model")["config"][name]
        check_classes(config)
        return keras.saving.deserialize_keras_object(config)


def _check_evaluated(folder):
    """Raises a `ValueError` if an entry has other weights than those that were evaluated."""
    weights = folder / "model.weights.h5"
    # A run has no card, and goes on after an evaluation.
    if not (folder / "card.md").is_file() or not weights.is_file():
        return
    expected = read_metrics(folder / "metrics.json")["weights_sha256"]
    received = sha256(weights)
    if received != expected:
        raise ValueError(
            f"{weights} must have the sha256 {expected} of metrics.json: the file is damaged, or "
            f"was replaced without an evaluation. Received: sha256 {received}"
        )


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

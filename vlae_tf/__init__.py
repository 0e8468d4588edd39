"""Variational Lossy Autoencoders for Keras: layers, distributions, models, and a zoo."""

import importlib

import keras

from vlae_tf._version import __version__

_MODULES = (
    "datasets",
    "distributions",
    "evaluation",
    "layers",
    "likelihoods",
    "models",
    "networks",
    "objectives",
    "posteriors",
    "priors",
    "runs",
    "saved_model",
    "serving",
    "training",
    "tuning",
    "zoo",
)

__all__ = ["VLAE", "__version__", *_MODULES]


def __getattr__(name):
    # Loaded on first use: importing the package costs no more than importing Keras.
    if name == "VLAE":
        return importlib.import_module("vlae_tf.models").VLAE
    if name in _MODULES:
        return importlib.import_module(f"vlae_tf.{name}")
    raise AttributeError(f"module 'vlae_tf' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})


class _OnDemand:
    """Stands in Keras' registry for `VLAE`, so that a saved model loads without an import more."""

    @staticmethod
    def from_config(config, custom_objects=None):
        return __getattr__("VLAE").from_config(config, custom_objects)


keras.saving.get_custom_objects().setdefault("vlae_tf>VLAE", _OnDemand)

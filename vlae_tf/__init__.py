"""Variational Lossy Autoencoders for Keras: models, layers, distributions, and a zoo of trained ones."""

import importlib

from vlae_tf._version import __version__

_MODULES = (
    "datasets",
    "distributions",
    "evaluation",
    "layers",
    "models",
    "objectives",
    "serving",
    "training",
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

"""Variational autoencoders for Keras: layers, distributions, models, and a zoo.

Importing vlae_tf imports no other package; each room is loaded at its first use.

A saved model finds its class in Keras' registry. Where Keras was imported before vlae_tf, this is
all that `keras.saving.load_model("model.keras")` needs. Where vlae_tf came first, import
`vlae_tf.models` before loading.
"""

import importlib
import sys

from vlae_tf._version import __version__

_MODELS = ("VAE", "VLAE")
_ROOMS = (
    "datasets",
    "distributions",
    "evaluation",
    "explorer",
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

__all__ = [*_MODELS, "__version__", *_ROOMS]


def __getattr__(name):
    if name in _MODELS:
        return getattr(importlib.import_module("vlae_tf.models"), name)
    if name in _ROOMS:
        return importlib.import_module(f"vlae_tf.{name}")
    raise AttributeError(f"module 'vlae_tf' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})


class _OnDemand:
    """Stands in Keras' registry for a class, which is loaded when a config asks for it."""

    def __init__(self, room, name):
        self.room, self.name = room, name

    def from_config(self, config, custom_objects=None):
        cls = getattr(importlib.import_module(f"vlae_tf.{self.room}"), self.name)
        return cls.from_config(config, custom_objects)


if _keras := sys.modules.get("keras"):
    # A model, and the optimiser that it may have been compiled with.
    for _room, _name in (
        *(("models", name) for name in _MODELS),
        ("training", "AveragedOptimizer"),
    ):
        _keras.saving.get_custom_objects().setdefault(f"vlae_tf>{_name}", _OnDemand(_room, _name))

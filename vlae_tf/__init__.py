"""Variational autoencoders for Keras: layers, distributions, models, and a zoo.

Importing vlae_tf imports no other package; each room is loaded at its first use. From then on
TensorFlow starts without its notices and with oneDNN's convolutions, unless the environment says
otherwise, and `keras.saving.load_model` knows the models.
"""

import importlib
import os
import sys

from vlae_tf._version import __version__
from vlae_tf.start_up import OnFirstImport, quiet, with_stand_ins

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


# Warnings and notices of TensorFlow's; its errors are shown.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Without AVX-512 TensorFlow leaves oneDNN's convolutions off (docs/performance.md).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
sys.meta_path.insert(0, OnFirstImport({"keras": with_stand_ins, "tensorflow": quiet}))
if "keras" in sys.modules:
    with with_stand_ins(sys.modules["keras"]):
        pass

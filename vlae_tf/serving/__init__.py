"""A `Client` of served models, which needs NumPy alone, and a local `Server`."""

import importlib

__all__ = ["Client", "Server"]

_ROOMS = {"Client": "client", "Server": "server"}


def __getattr__(name):
    # Loaded on first use, so that neither costs what the other needs.
    if name in _ROOMS:
        return getattr(importlib.import_module(f"vlae_tf.serving.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'vlae_tf.serving' has no attribute {name!r}")

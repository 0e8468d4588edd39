"""The version, where setup.py can read it without importing Keras."""

__version__ = "0.2.0"

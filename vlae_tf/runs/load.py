"""What a run has left behind."""

import pathlib

from vlae_tf import models
from vlae_tf.files import PathLike, sha256
from vlae_tf.models import VAE
from vlae_tf.models.folder import read_model


def load_run(folder: PathLike, dtype: str | None = None) -> VAE:
    """The `VAE` that a run trained, with its averaged weights.

    While the run continues, it is the model after the last whole epoch.

    Args:
        folder: folder of the run, with `config.json` and `model.weights.h5`.
        dtype: policy of the networks, "float32" or "mixed_bfloat16"; the run's own unless given.
            What the model keeps in float32 stays so. With "float64" the whole model computes in
            float64, its log-probabilities too: several times slower, and the same to some 13 digits
            on every path of computation. It can be evaluated and drawn from, but not trained.

    Raises:
        ValueError: for another policy, a missing or damaged file, files of version 0.1, or weights
            of another model.

    Example:
        >>> from vlae_tf.runs import load_run
        >>> load_run("no/such/run")
        Traceback (most recent call last):
        ValueError: `folder` must be that of a run, with a config.json. Received: folder='no...
    """
    path = pathlib.Path(folder)
    if not (path / "config.json").is_file():
        raise ValueError(
            f"`folder` must be that of a run, with a config.json. Received: folder={str(folder)!r}"
        )
    return read_model(path, models.VAE, dtype)


def load_hashed_run(folder, dtype=None):
    """`load_run`, and the sha256 of the weights: both of one epoch, even if the run continues."""
    weights = pathlib.Path(folder) / "model.weights.h5"
    while True:
        before = sha256(weights) if weights.is_file() else None
        model = load_run(folder, dtype)
        if sha256(weights) == before:
            return model, before

"""The entries of the zoo: their names, folders, examples and models."""

import fnmatch
import pathlib

from vlae_tf.files import read_json, read_numpy, sha256
from vlae_tf.records import read_metrics
from vlae_tf.runs import load_run

_PACKAGE = pathlib.Path(__file__).parents[1]
# Installed inside the package; at the top of the repository in a checkout.
FOLDER = next((f for f in (_PACKAGE / "_zoo", _PACKAGE.parent / "zoo") if f.is_dir()), None)


def entry_names(pattern="*"):
    """Names of the entries that match a shell pattern, sorted. As `zoo.list` in the package.

    Example:
        >>> import vlae_tf
        >>> vlae_tf.zoo.list("no_such*")
        []
    """
    if FOLDER is None:
        return []
    names = sorted(path.parent.name for path in FOLDER.glob("*/config.json"))
    return fnmatch.filter(names, pattern)


def folder(name):
    """The folder of an entry.

    Raises:
        ValueError: for a name that is not in `zoo.list()`, so that no path leaves the zoo.
    """
    known = entry_names()
    if name not in known:
        raise ValueError(
            f"`name` must be one of the zoo's entries: {', '.join(known) or 'there are none'}. "
            f"Received: name={name!r}"
        )
    return FOLDER / name


def info(name):
    """The facts of an entry: a dict of `name`, `recipe`, `metrics` and `card` (Markdown)."""
    path = folder(name)
    return {
        "name": name,
        "recipe": read_json(path / "recipe.json", "a recipe"),
        "metrics": read_metrics(path / "metrics.json"),
        "card": (path / "card.md").read_text(encoding="utf-8"),
    }


def examples(name):
    """A few test images that come with an entry, uint8 `(batch, height, width, channels)`."""
    return read_numpy(folder(name) / "examples.npz")["images"]


def load(name, dtype="float32"):
    """The trained model of an entry, a `VAE` ready to use, to fine-tune or to export.

    No network is needed. The weights are those that were evaluated, or this fails.

    Args:
        name: name of an entry, one of `zoo.list()`.
        dtype: policy of the convolutions: "float32", or "mixed_bfloat16" where that is faster.

    Raises:
        ValueError: for an unknown name, or weights that are not those that were evaluated.

    Example:
        >>> import vlae_tf
        >>> vlae = vlae_tf.zoo.load("mnist_dynamic")
        >>> vlae.sample(2, seed=0).shape
        (2, 28, 28, 1)
    """
    path = folder(name)
    weights = path / "model.weights.h5"
    expected = read_metrics(path / "metrics.json")["weights_sha256"]
    received = sha256(weights)
    if received != expected:
        raise ValueError(
            f"{weights} must have the sha256 {expected} of metrics.json: the file is damaged, or "
            f"was replaced without an evaluation. Received: sha256 {received}"
        )
    return load_run(path, dtype)


def locate(source):
    """The folder of an entry, or of a run of `vlae-tf train`.

    Raises:
        ValueError: if it is neither.
    """
    if source not in entry_names() and (pathlib.Path(source) / "config.json").is_file():
        return pathlib.Path(source)
    return folder(source)


def load_source(source, dtype="float32"):
    """The model of an entry, or of a run of `vlae-tf train`."""
    return load(source, dtype) if source in entry_names() else load_run(locate(source), dtype)

"""What an entry gives: its model, its facts, its example images."""

import numpy as np

from vlae_tf import catalogue
from vlae_tf.checks import refuse
from vlae_tf.files import PathLike, read_numpy
from vlae_tf.models import VAE
from vlae_tf.records import read_metrics


def load(source: PathLike, dtype: str | None = "float32") -> VAE:
    """The trained model of an entry, a `VAE` ready to use, to fine-tune or to export.

    No network is needed for the package's entries. The weights of an entry are those that were
    evaluated, or this fails. No file of an entry is code, see `vlae_tf.VAE.from_preset`.

    Args:
        source: name of an entry, one of `zoo.list()`; or the folder of an entry or a run; or
            "hf://user/name".
        dtype: policy of the convolutions: "float32", or "mixed_bfloat16" where that is faster;
            "float64" is for the whole model (see `vlae_tf.runs.load_run`).

    Raises:
        ValueError: for an unknown name, or weights that are not those that were evaluated.

    Example:
        >>> import vlae_tf
        >>> vlae = vlae_tf.zoo.load("mnist_dynamic")
        >>> vlae.sample(2, seed=0).shape
        (2, 28, 28, 1)
    """
    return VAE.from_preset(source, dtype=dtype)


def info(source: PathLike) -> dict:
    """The facts of an entry: a dict of `name`, `recipe`, `metrics` and `card` (Markdown).

    Args:
        source: as for `load`; the folder of a run has no card before it is published.

    Raises:
        ValueError: for an unknown name, or a file that is missing or damaged.
    """
    path = catalogue.locate(source)
    return {
        "name": path.name,
        "recipe": catalogue.read_entry(path, "recipe"),
        "metrics": read_metrics(path / "metrics.json"),
        "card": catalogue.read_card(path),
    }


def examples(source: PathLike) -> np.ndarray:
    """A few test images that come with an entry, uint8 `(batch, height, width, channels)`.

    Raises:
        ValueError: for an unknown name, or a folder without examples, as that of a run.
    """
    path = catalogue.published_file(catalogue.locate(source), "examples.npz")
    arrays = read_numpy(path)
    if "images" not in arrays:
        refuse("source", "an entry whose examples.npz has images", source, f"{path} without them")
    return arrays["images"]

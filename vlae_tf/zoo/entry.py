"""What an entry says of itself in entry.json: licence, where it loads from, sizes, window."""

import json

from vlae_tf.evaluation.units import window, window_pixels
from vlae_tf.files import read_json, write_text
from vlae_tf.models.folder import read_part


def write_entry(folder, source, licence=None):
    """Writes `entry.json`, from the files of an entry; no weights are loaded.

    Args:
        folder: `pathlib.Path` of the entry.
        source: what loads it: its name in a zoo, or a path.
        licence: SPDX name of the licence of the weights, or None: not stated.
    """
    likelihood = read_part(folder, "likelihood_family")
    _, shown = window(likelihood)
    entry = {
        "source": source,
        "licence": licence,
        "image_shape": list(likelihood.image_shape),
        "latent_dim": read_json(folder / "recipe.json", "a recipe")["model"]["latent_dim"],
        "window": shown,
        "window_pixels": window_pixels(likelihood),
    }
    write_text(folder / "entry.json", json.dumps(entry, indent=2) + "\n")

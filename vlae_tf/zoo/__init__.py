"""The zoo: trained models that load by name, offline.

An entry is a folder of data without code: `config.json` (the serialised model), `model.weights.h5`
(float16), `recipe.json`, `metrics.json` (what `vlae-tf evaluate` wrote, with the sha256 of the
weights), `metrics-10000x256.npy` (log p(x) of 10,000 images, by 256 samples), `history.csv`,
`examples.npz` (a few test images), `card.md` and pictures.
"""

from vlae_tf.zoo.catalogue import entry_names as list
from vlae_tf.zoo.catalogue import examples, folder, info, load, load_source, locate

__all__ = ["examples", "folder", "info", "list", "load", "load_source", "locate"]

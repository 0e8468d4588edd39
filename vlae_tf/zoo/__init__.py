"""The zoo: trained models that load by name, offline.

An entry is a folder of data without code: `config.json` (the serialised model), `model.weights.h5`
(float16), `recipe.json`, `metrics.json` (what `vlae-tf evaluate` wrote, with the sha256 of the
weights), `metrics-10000x256.npy` (log p(x) of 10,000 images, by 256 samples), `history.csv`,
`entry.json` (licence, sizes, window), `examples.npz` (a few test images), `card.md` and pictures.
The environment variable VLAE_TF_ZOO may name a folder of entries of your own.
"""

from vlae_tf.catalogue import entry_names as list
from vlae_tf.catalogue import locate
from vlae_tf.zoo.loading import examples, info, load

__all__ = ["examples", "info", "list", "load", "locate"]

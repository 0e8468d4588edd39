"""`python -m vlae_tf.runs`: counts the weights of the package's recipes, for `vlae-tf recipes`."""

import json

from vlae_tf import catalogue
from vlae_tf.datasets import DATASETS
from vlae_tf.files import write_text
from vlae_tf.runs import Recipe


def count():
    """Numbers of weights of the package's recipes, a dict by name."""
    recipes = {name: Recipe.load(name) for name in Recipe.names()}
    return {n: r.count_params(DATASETS[r.dataset].image_shape) for n, r in recipes.items()}


if __name__ == "__main__":
    write_text(catalogue.SIZES, json.dumps(count(), indent=2) + "\n")

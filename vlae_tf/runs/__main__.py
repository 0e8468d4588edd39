"""`python -m vlae_tf.runs`: counts the weights of the package's recipes, for `vlae-tf recipes`."""

import json

from vlae_tf import catalogue
from vlae_tf.datasets import DATASETS
from vlae_tf.files import write_text
from vlae_tf.runs import Recipe


def count():
    """Numbers of weights of the package's recipes, a dict by name."""
    recipes = {name: Recipe.load(name) for name in Recipe.names()}
    return {name: recipe.count_params(_image_shape(recipe)) for name, recipe in recipes.items()}


def _image_shape(recipe):
    """That of the recipe, for images of one's own, or that of its data set."""
    return recipe.model.get("image_shape") or DATASETS[recipe.dataset].image_shape


if __name__ == "__main__":
    write_text(catalogue.SIZES, json.dumps(count(), indent=2) + "\n")

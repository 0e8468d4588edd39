import dataclasses
import json

import keras_tuner

from vlae_tf.runs import Recipe

# What decides on which images the trials are compared; and which is not for a search to choose.
_FIXED = ("dataset", "binarise", "train_split", "validation_split", "initial_weights", "notes")


class SearchSpace:
    """Fields of a recipe that are left open, and the values to try for each.

    A field is named by its path in the recipe's JSON:

    | to choose | path |
    |---|---|
    | the latent size | `model.latent_dim` |
    | the window | `model.likelihood_family.network.blocks`, `...network.first_kernel_size` |
    | the prior's flow | `model.prior_family.steps`, `model.prior_family.hidden_units` |
    | free bits | `objective.free_bits` |
    | widths | `model.encoder.filters`, `model.decoder.filters`, `...network.filters` |
    | the optimiser | `learning_rate`, `batch_size`, `global_clipnorm` |

    Args:
        recipe: the `Recipe` whose fields they are.
        choices: dict of path to a list of values.

    Raises:
        ValueError: for a field that the recipe does not have or that a search cannot choose, for no
            values or the same value twice, and for a value that the recipe does not take.

    Example:
        >>> from vlae_tf.runs import Recipe
        >>> from vlae_tf.tuning import SearchSpace
        >>> space = SearchSpace(Recipe.load("mnist_static"), {"model.latent_dim": [2, 4]})
        >>> space.recipe({"model.latent_dim": 4}).model["latent_dim"]
        4
    """

    def __init__(self, recipe, choices):
        self.base = recipe
        self.choices = {path: list(values) for path, values in choices.items()}
        if not self.choices:
            raise ValueError("`choices` must name a field to search over. Received: choices={}")
        for path, values in self.choices.items():
            self._check(path, values)

    def hyper_parameters(self, known=None):
        """keras-tuner's `HyperParameters` with one choice for each field; or `known`, with them."""
        known = keras_tuner.HyperParameters() if known is None else known
        for path, values in self.choices.items():
            known.Choice(path, _encoded(values))
        return known

    def recipe(self, values):
        """The recipe with these fields, `{path: value}`, replaced."""
        fields = dataclasses.asdict(self.base)  # copies what is inside, too
        for path, value in values.items():
            *parents, name = path.split(".")
            inner = fields
            for parent in parents:
                inner = inner.get(parent) if isinstance(inner, dict) else None
            if not isinstance(inner, dict):
                raise ValueError(
                    f"`choices` must name fields of the recipe, such as model.latent_dim, "
                    f"learning_rate. Received: {path!r}, but the recipe has no {'.'.join(parents)}"
                )
            inner[name] = value
        try:
            return Recipe(**fields)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`choices` must fit the recipe. Received: {_text(values)}, but {error}"
            ) from error

    def values(self, hyper_parameters):
        """`{path: value}` of what keras-tuner chose."""
        chosen = hyper_parameters.values
        return {
            path: json.loads(chosen[path]) if isinstance(chosen[path], str) else chosen[path]
            for path in self.choices
        }

    def short_names(self):
        """dict of path to its last words, as many as tell it from the others."""
        names = {}
        for path in self.choices:
            words = path.split(".")
            names[path] = next(
                name
                for name in (".".join(words[-n:]) for n in range(1, len(words) + 1))
                if sum(f".{other}".endswith(f".{name}") for other in self.choices) == 1
                or name == path
            )
        return names

    def _check(self, path, values):
        if path.split(".")[0] in _FIXED:
            raise ValueError(
                f"`choices` must not change what trials are compared on ({', '.join(_FIXED)}). "
                f"Received: {path!r}"
            )
        if not values or any(values.count(value) > 1 for value in values):
            raise ValueError(
                "`choices` must give each field at least one value, and no value twice. "
                f"Received: {path}={values!r}"
            )
        for value in values:
            if path == "model.latent_dim" and (isinstance(value, bool) or not _at_least_1(value)):
                raise ValueError(
                    f"Latent sizes must be integers of at least 1. Received: {value!r} "
                    f"in {values!r}"
                )
            self.recipe({path: value})


def _at_least_1(value):
    return isinstance(value, int) and value >= 1


def _encoded(values):
    """As keras-tuner takes them: numbers of one type, so that it knows their order, or strings."""
    if all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        return values
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return [float(v) for v in values]
    return [json.dumps(v) for v in values]


def _text(values):
    return ", ".join(f"{path}={value!r}" for path, value in values.items())

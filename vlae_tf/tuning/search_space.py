import json

import keras_tuner

from vlae_tf.checks import refuse
from vlae_tf.runs import Recipe

# These decide on which images the trials are compared, or are not for a search to choose.
_FIXED = (
    "dataset",
    "binarise",
    "train_split",
    "validation_split",
    "validation_fraction",
    "initial_weights",
    "notes",
)


class SearchSpace:
    """Fields of a recipe that are left open, and the values to try for each.

    A field is named by its path in the recipe's JSON. A path steps into the "config" of a part by
    itself:

    | to choose | path |
    |---|---|
    | the latent size | `model.latent_dim` |
    | the window | `model.likelihood_family.network.blocks`, `...network.first_kernel_size` |
    | the prior's flow | `model.prior_family.steps`, `model.prior_family.hidden_units` |
    | free bits | `objective.free_bits` |
    | widths | `model.encoder.filters`, `model.decoder.filters`, `...network.filters` |
    | the optimiser | `optimizer.learning_rate`, `optimizer.global_clipnorm`, `batch_size` |

    Args:
        recipe: `Recipe` whose fields are searched over.
        choices: dict of path to a list of values.

    Raises:
        ValueError: for a field that the recipe does not have or that a search must not choose, for
            no values or the same value twice, and for a value that the recipe does not take.

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
            refuse("choices", "a dict that names a field to search over", choices)
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
        fields = json.loads(self.base.to_json())
        for path, value in values.items():
            *parents, name = path.split(".")
            inner = fields
            for parent in parents:
                inner = _arguments(inner, parent).get(parent)
                if not isinstance(inner, dict):
                    expected = "fields of the recipe, such as model.latent_dim or batch_size"
                    missing = f"{path!r}, but the recipe has no {'.'.join(parents)}"
                    refuse("choices", expected, path, received=missing)
            _arguments(inner, name)[name] = value
        try:
            return Recipe(**fields)
        except (TypeError, ValueError) as error:
            text = ", ".join(f"{path}={value!r}" for path, value in values.items())
            raise ValueError(
                f"`choices` must fit the recipe. Received: {text}, but {error}"
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
            expected = f"fields other than what trials are compared on ({', '.join(_FIXED)})"
            refuse("choices", expected, path, received=repr(path))
        if not values or any(values.count(value) > 1 for value in values):
            expected = "at least one value for each field, and no value twice"
            refuse("choices", expected, values, received=f"{path}={values!r}")
        for value in values:
            self.recipe({path: value})


def _arguments(inner, name):
    """Where a name is looked up: a part's own keys or, for all others, its "config"."""
    is_argument = "class_name" in inner and name not in inner
    return inner.setdefault("config", {}) if is_argument else inner


def _encoded(values):
    """Values in a form that keras-tuner takes: numbers of one type, whose order it knows, or
    strings."""
    if all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        return values
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return [float(v) for v in values]
    return [json.dumps(v) for v in values]

"""Which fields of a recipe a search can leave open."""

import pytest
from keras_tuner import HyperParameters

from tests.tiny import tiny_recipe
from vlae_tf.tuning import SearchSpace

pytestmark = pytest.mark.slow

FILTERS = "model.encoder.filters"


@pytest.fixture(scope="module")
def recipe():
    return tiny_recipe("images.npz")


@pytest.mark.parametrize("path", ["model.prior_family.steps", "model.prior_family.config.steps"])
def test_values_are_put_where_the_path_says(recipe, path):
    space = SearchSpace(recipe, {path: [1, 2], "optimizer.learning_rate": [1e-3]})
    changed = space.recipe({path: 2, "optimizer.learning_rate": 1e-3})
    assert changed.model["prior_family"]["config"] == {"steps": 2, "hidden_units": [4]}
    assert changed.differences(recipe) == ["model", "optimizer"]
    assert recipe.model["prior_family"]["config"]["steps"] == 1


def test_a_path_steps_into_parts_of_parts_and_parts_without_arguments(recipe):
    blocks, free_bits = "model.likelihood_family.network.blocks", "objective.free_bits"
    objective = {"class_name": "ELBO"}
    space = SearchSpace(recipe, {"objective": [objective], free_bits: [1.0], blocks: [2]})
    changed = space.recipe({"objective": objective, free_bits: 1.0, blocks: 2})
    network = changed.model["likelihood_family"]["config"]["network"]
    assert network["config"]["blocks"] == 2 and network["class_name"] == "LocalPixelCNN"
    assert changed.objective == {"class_name": "ELBO", "config": {"free_bits": 1.0}}


def test_every_kind_of_value_comes_back_from_keras_tuner(recipe):
    choices = {
        "model.latent_dim": [2, 4],
        "model.encoder.dropout": [0, 0.1],
        "model.encoder.weight_norm": [True, False],
        FILTERS: [[2], [3]],
        "optimizer.global_clipnorm": [None, 5.0],
    }
    space = SearchSpace(recipe, choices)
    hyper_parameters = space.hyper_parameters()
    assert space.values(hyper_parameters) == {path: values[0] for path, values in choices.items()}
    for parameter in hyper_parameters.space:
        hyper_parameters.values[parameter.name] = parameter.values[-1]
    # As they come to a worker.
    values = space.values(HyperParameters.from_proto(hyper_parameters.to_proto()))
    assert values == {path: values[-1] for path, values in choices.items()}
    assert space.recipe(values).model["encoder"]["config"]["filters"] == [3]


def test_short_names_tell_fields_apart(recipe):
    choices = {"model.latent_dim": [2], FILTERS: [[2]], "model.decoder.filters": [[2]]}
    names = SearchSpace(recipe, choices).short_names()
    assert list(names.values()) == ["latent_dim", "encoder.filters", "decoder.filters"]


@pytest.mark.parametrize("sizes", [[0], [-1], [2, 0], [2.0], ["2"], [True], [None]])
def test_latent_sizes_are_positive_integers(recipe, sizes):
    with pytest.raises(ValueError, match="model.latent_dim.*must be.*Received: model.latent_dim="):
        SearchSpace(recipe, {"model.latent_dim": sizes})


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "names a field"),
        ({"model.latent_dim": []}, "at least one value.*Received: model.latent_dim=.."),
        ({"model.latent_dim": [2, 2]}, "no value twice"),
        ({"model.prior.steps": [1]}, "the recipe has no model.prior"),
        ({"batch_size.x": [1]}, "the recipe has no batch_size"),
        ({"batch_sizes": [1]}, "batch_sizes=1, but.*batch_sizes"),
        ({"batch_size": [8, -1]}, "batch_size=-1, but `batch_size` must be"),
        ({"model.prior_family.hidden": [1]}, "hidden"),
        ({"model.encoder.class_name": ["Nothing"]}, "but `encoder` must name a class"),
        ({"validation_split": ["test"]}, "what trials are compared on.*'validation_split'"),
        ({"dataset": ["other"]}, "what trials are compared on.*'dataset'"),
    ],
)
def test_invalid_choices(recipe, choices, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace(recipe, choices)

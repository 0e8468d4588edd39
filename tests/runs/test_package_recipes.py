"""The recipes that come with the package."""

import keras
import numpy as np
import pytest

from tests.tiny import random_images, tiny_recipe
from vlae_tf import catalogue
from vlae_tf.datasets import DATASETS
from vlae_tf.runs import Recipe
from vlae_tf.runs.__main__ import count
from vlae_tf.runs.parts import build_part
from vlae_tf.runs.recipe import without_values

pytestmark = pytest.mark.jax


# Posteriors on the same networks, as parts of the recipes' names.
INFERENCE = ("_gaussian", "_laplace", "_mixture", "_recursive")


def config(recipe, *path):
    """The config of a part of the model, or of a part inside of it."""
    settings = recipe.model
    for name in path:
        settings = settings[name]["config"]
    return settings


def likelihood_with(recipe, **network):
    """The recipe's likelihood with other arguments of its network."""
    settings = config(recipe, "likelihood_family")
    inner = settings["network"]
    changed = {**inner, "config": inner["config"] | network}
    return recipe.model["likelihood_family"] | {"config": settings | {"network": changed}}


def test_sizes_are_those_of_the_models():
    assert catalogue.recipe_sizes() == count(), "run python -m vlae_tf.runs"


def test_every_recipe_can_be_shipped_with_its_settings():
    relatives = ("_iwae", "_ladder", "_sequential", *INFERENCE)
    for name in Recipe.names():
        recipe = Recipe.load(name)
        assert recipe.schedule["class_name"] == "CosineDecay"
        if name.startswith("mnist_dynamic_iwae"):
            alpha = 0.4 if name.endswith("_5") else 0.02
            expected = ("Muon", {"alpha": alpha, "warmup_steps": 500})
        elif any(part in name for part in relatives):
            expected = ("Adam", {"alpha": 0.05})
        else:
            expected = ("Adamax", {"warmup_steps": 500})
        assert (recipe.optimizer["class_name"], recipe.schedule["config"]) == expected


@pytest.mark.parametrize("name", Recipe.names())
def test_recipe_says_how_to_run_it(name):
    assert f"vlae-tf train {name} --out" in Recipe.load(name).notes


def test_controls_of_the_ladders_differ_by_what_they_control():
    ladder, mixture = Recipe.load("mnist_ladder"), Recipe.load("mnist_mixture_ladder")
    for place, layers in {"top": [[512, 512, 512]], "bottom": [[512]]}.items():
        control = Recipe.load(f"mnist_ladder_{place}")
        assert ladder.differences(control) == ["model", "objective"]
        assert control.model["latent_dim"] == sum(config(ladder, "decoder")["rungs"])
        assert config(control, "encoder")["units"] == config(control, "decoder")["units"] == layers
    normal = Recipe.load("mnist_mixture_ladder_normal")
    assert set(mixture.differences(normal)) == {"model", "clustering_epoch"}
    prior = {"prior_family": {"class_name": "FlowPrior", "config": {"steps": 0}}}
    assert mixture.model | prior == normal.model
    one = Recipe.load("mnist_mixture_ladder_one_rung")
    assert mixture.differences(one) == ["model", "objective"]
    assert one.model["latent_dim"] == mixture.model["latent_dim"]
    clusters = [config(recipe, "prior_family")["components"] for recipe in (mixture, one)]
    assert clusters == [25, 25]


def test_importance_weighted_recipes_differ_by_what_they_compare():
    """Each goes on from a run of its own objective with 5 samples, two of them from the same."""
    base = Recipe.load("mnist_dynamic_iwae")
    assert base.differences(Recipe.load("mnist_dynamic_iwae_dreg")) == ["objective"]
    for ending in ("_elbo", "_2_layers"):
        other = Recipe.load(f"mnist_dynamic_iwae{ending}")
        changed = {"objective"} if ending == "_elbo" else {"model", "epochs"}
        assert set(base.differences(other)) == changed | {"initial_weights"}
    for ending in ("", "_elbo", "_2_layers"):
        first, then = (Recipe.load(f"mnist_dynamic_iwae{ending}{end}") for end in ("_5", ""))
        changed = {"objective", "epochs", "optimizer", "schedule", "initial_weights"}
        assert set(first.differences(then)) == changed
        assert first.objective["class_name"] == then.objective["class_name"]
        samples = [recipe.objective["config"]["samples"] for recipe in (first, then)]
        assert samples == [5, 50]
        assert then.initial_weights == f"runs/mnist_dynamic_iwae{ending}_5/model.weights.h5"


def test_mutual_divergence_recipes_differ_by_their_objective_alone():
    base = Recipe.load("mnist_dynamic_mae")
    for ending in ("_elbo", "_free_bits"):
        assert base.differences(Recipe.load(f"mnist_dynamic_mae{ending}")) == ["objective"]


def test_laplace_recipes_differ_by_their_posterior_alone():
    base = Recipe.load("mnist_dynamic_laplace")
    posteriors = {
        "laplace_0": {"class_name": "LaplacePosterior", "config": {"steps": 0}},
        "laplace_2": {"class_name": "LaplacePosterior", "config": {"steps": 2}},
        "gaussian": {"class_name": "GaussianPosterior", "config": {}},
        "full_gaussian": {"class_name": "FullGaussianPosterior", "config": {}},
    }
    for name, posterior in posteriors.items():
        other = Recipe.load(f"mnist_dynamic_{name}")
        assert base.differences(other) == ["model"]
        assert other.model == base.model | {"posterior_family": posterior}


def test_controls_of_recursive_inference_have_as_many_weights_of_inference():
    """And differ by posterior and objective alone, but for the width of the Gaussian's encoder."""

    def weights(recipe):
        with without_values():
            model = recipe.build_model((28, 28, 1))
        return model.encoder.count_params() + model.posterior_family.count_params()

    base = Recipe.load("mnist_dynamic_recursive")
    joint = Recipe.load("mnist_dynamic_mixture")
    assert base.differences(joint) == ["objective"]
    for name in ("gaussian", "iaf"):
        control = Recipe.load(f"mnist_dynamic_recursive_{name}")
        assert set(base.differences(control)) == {"model", "objective"}
        assert control.model["decoder"] == base.model["decoder"]
        assert weights(control) == pytest.approx(weights(base), rel=0.01)


@pytest.mark.parametrize("dataset", ["mnist_dynamic", "cifar10"])
def test_one_step_of_a_chain_has_as_many_weights(dataset):
    chain, one = (Recipe.load(f"{dataset}_sequential{ending}") for ending in ("", "_one_step"))
    assert chain.differences(one) == ["model", "objective"]
    assert chain.model | {"decoder": None} == one.model | {"decoder": None}
    shape = DATASETS[dataset].image_shape
    with without_values():
        counts = [recipe.build_model(shape).count_params() for recipe in (chain, one)]
    assert counts[0] == pytest.approx(counts[1], rel=0.01)


@pytest.mark.parametrize("code", ["", "_2"])
def test_criteria_of_info_differ_by_their_objective_alone_and_see_the_whole_image(code):
    base = Recipe.load(f"mnist_static_info{code}")
    for ending in ("_elbo", "_light", "_none"):
        other = Recipe.load(f"mnist_static_info{code}{ending}")
        assert base.differences(other) == ["objective"]
    network = config(base, "likelihood_family")["network"]
    field = build_part("network", network, dtype="float32").receptive_field
    assert min(field.above, field.left, field.right) >= 27


def test_factorised_recipe_differs_by_its_likelihood_alone():
    vlae, factorised = Recipe.load("mnist_static"), Recipe.load("mnist_static_factorised")
    assert vlae.differences(factorised) == ["model"]
    likelihood = {"likelihood_family": {"class_name": "BernoulliLikelihood", "config": {}}}
    assert vlae.model | likelihood == factorised.model


def test_paper_recipe_is_the_papers():
    recipe = Recipe.load("mnist_static_paper")
    prior = config(recipe, "prior_family")
    assert (recipe.model["latent_dim"], config(recipe, "decoder")["maps"]) == (64, 4)
    assert prior["mean_only"] and (prior["steps"], prior["hidden_units"]) == (4, [640, 640, 640])
    assert recipe.objective["config"]["free_bits"] == pytest.approx(0.01 * 28 * 28)
    network = config(recipe, "likelihood_family")["network"]
    network = build_part("network", network, dtype="float32")
    assert network.tied and network.weight_norm and network.receptive_field.above == 6
    optimizer = recipe.optimizer["config"]
    assert (optimizer["ema_momentum"], optimizer["learning_rate"]) == (0.998, 0.002)


@pytest.mark.parametrize("name", ["mnist_dynamic", "omniglot", "caltech101_silhouettes"])
def test_paper_recipes_of_binary_images_differ_by_tied_weights_alone(name):
    static, recipe = Recipe.load("mnist_static_paper"), Recipe.load(f"{name}_paper")
    assert static.differences(recipe) == ["dataset", "model"] and recipe.dataset == name
    assert not config(recipe, "likelihood_family", "network")["tied"]
    likelihood = likelihood_with(recipe, tied=True)
    assert recipe.model | {"likelihood_family": likelihood} == static.model


@pytest.mark.parametrize("encoder", ["resnet", "densenet", "resnet_paper", "densenet_paper"])
def test_window_of_the_colour_recipes_is_7x4(encoder):
    recipe = Recipe.load(f"cifar10_{encoder}")
    # As many outputs as an image has channels: a paper-size network takes them one after another.
    network = likelihood_with(recipe, output_channels=3)["config"]["network"]
    above, left, right, *_ = build_part("network", network, dtype="float32").receptive_field
    assert (left + 1 + right, above, left) == (7, 4, 3)
    block = config(recipe, "encoder").get("block"), config(recipe, "decoder").get("block")
    assert block == (("dense", "dense") if "densenet" in encoder else (None, None))


def test_recipe_of_the_full_context_sees_all_of_an_image():
    recipe = Recipe.load("cifar10_full_context")
    network = config(recipe, "likelihood_family")["network"]
    above, left, right, *_ = build_part("network", network, dtype="float32").receptive_field
    height, width, _ = DATASETS[recipe.dataset].image_shape
    assert above >= height - 1 and left >= width - 1 and right >= width - 1


@pytest.mark.parametrize("encoder", ["resnet", "densenet"])
def test_paper_recipes_of_colours_have_the_papers_sizes(encoder):
    recipe = Recipe.load(f"cifar10_{encoder}_paper")
    filters = [config(recipe, name)["filters"] for name in ("encoder", "decoder")]
    assert filters == [[48, 96, 96]] * 2
    prior, network = config(recipe, "prior_family"), config(recipe, "likelihood_family", "network")
    assert (prior["code_shape"], prior["steps"], prior["filters"]) == ([8, 8, 16], 6, 128)
    assert (network["blocks"], network["groups"]) == (4, 3)


@pytest.mark.parametrize("window", ["4x2", "5x3", "7x4_grey"])
def test_lossy_paper_recipes_have_the_windows_of_the_small_ones(window):
    base = Recipe.load("cifar10_densenet_paper")
    paper = Recipe.load(f"cifar10_lossy_{window}_paper")
    assert base.differences(paper) == ["model"]
    small = Recipe.load(f"cifar10_lossy_{window}")
    grey = [config(recipe, "likelihood_family").get("grey_window") for recipe in (paper, small)]
    assert grey[0] == grey[1]
    networks = [config(recipe, "likelihood_family", "network") for recipe in (paper, small)]
    assert networks[0]["first_kernel_size"] == networks[1]["first_kernel_size"]
    rest = {**paper.model, "likelihood_family": base.model["likelihood_family"]}
    assert rest == base.model


def test_lossy_recipes_differ_by_their_window_alone():
    windows = {"4x2": [5, 4], "5x3": [7, 5], "7x4": [9, 7], "7x4_grey": [9, 7]}
    base = Recipe.load("cifar10_lossy_4x2")
    for name, kernel in windows.items():
        recipe = Recipe.load(f"cifar10_lossy_{name}")
        assert config(recipe, "likelihood_family", "network")["first_kernel_size"] == kernel
        grey = config(recipe, "likelihood_family").get("grey_window", False)
        assert grey == name.endswith("grey")
        likelihood = likelihood_with(recipe, first_kernel_size=[5, 4])
        likelihood["config"].pop("grey_window", None)
        model = {**recipe.model, "likelihood_family": likelihood}
        assert recipe.replace(model=model).differences(base) == []


@pytest.mark.parametrize("name", Recipe.names())
def test_recipe_builds_at_full_size(name):
    recipe = Recipe.load(name)
    # Every weight has its place and shape; to compute values for it would only take time.
    with without_values():
        shape = recipe.model.get("image_shape") or DATASETS[recipe.dataset].image_shape
        model = recipe.build_model(shape)
    assert model.latent_dim == recipe.model["latent_dim"] and model.levels == recipe.levels
    assert model.count_params() > (100_000 if name == "own_colour" else 300_000)


def test_parameters_are_counted_without_values():
    recipe = tiny_recipe("digits.npz")
    assert recipe.count_params((8, 8, 1)) == recipe.build_model((8, 8, 1)).count_params()


def test_list_of_recipes_names_each_whole(capsys, monkeypatch):
    """Piped: a line a recipe, with its data set, parameters, epochs, and time where measured."""
    from vlae_tf.cli.training import recipes

    names = ["mnist_static", "mnist_static_paper"]
    monkeypatch.setattr(catalogue, "recipe_names", lambda: names)
    recipes()
    head, *rows = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert head == ["recipe", "weights", "epochs", "time", "over", "data set"]
    assert rows[0][:3] == ["mnist_static", "2,679,698", "38"]
    assert rows[0][3].startswith("6 h ") and rows[0][4] == "64"
    assert rows[1] == ["mnist_static_paper", "5,266,611", "200", "", "", "mnist_static"]


# Sizes that decide how long a step takes, and those that leave the kind of layers as it is.
_SMALL = {
    "filters": lambda value: [2] * len(value) if isinstance(value, list) else 6,
    "blocks": lambda value: [min(n, 1) for n in value] if isinstance(value, list) else 1,
    "depth": lambda value: 2,
    "pointwise_blocks": lambda value: 1,
    "hidden_units": lambda value: [8],
    "units": lambda value: [4] if isinstance(value, list) else value and 4,
    "maps": lambda value: 2,
    "steps": lambda value: min(value, 2),
    "components": lambda value: 2,
}


def smaller(settings):
    if not isinstance(settings, dict):
        return settings
    return {
        key: _SMALL[key](value) if key in _SMALL else smaller(value)
        for key, value in settings.items()
    }


# One of each kind of network, likelihood and objective there is among the recipes.
@pytest.mark.parametrize(
    "name",
    [
        "mnist_static",
        "mnist_static_factorised",
        "mnist_static_paper",
        "mnist_dynamic_paper",
        "cifar10_resnet",
        "cifar10_densenet_paper",
        "cifar10_lossy_7x4_grey",
        "cifar10_lossy_none",
        "cifar10_full_context",
        "mnist_dynamic_laplace",
        "mnist_dynamic_recursive",
    ],
)
def test_recipe_takes_a_step_with_fewer_filters(name):
    recipe = Recipe.load(name)
    recipe = recipe.replace(model=smaller(recipe.model), dtype="float32")
    image_shape = DATASETS[recipe.dataset].image_shape
    model = recipe.build_model(image_shape)
    model.compile("sgd", run_eagerly=keras.backend.backend() != "jax")
    before = model.get_weights()
    images = random_images(2, image_shape, recipe.levels)
    history = model.fit(images, batch_size=2, verbose=0).history
    assert np.isfinite([value for values in history.values() for value in values]).all()
    after = model.get_weights()
    assert all(np.isfinite(weight).all() for weight in after)
    assert any((weight != old).any() for weight, old in zip(after, before, strict=True))

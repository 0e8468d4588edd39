"""Recipes: what can be read, what is refused and with which words, what they build."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import ops

from vlae_tf.datasets import DATASETS
from vlae_tf.runs import Recipe
from vlae_tf.runs.parts import build_part

pytestmark = pytest.mark.jax

SMALL = {"dataset": "digits.npz", "model": {"latent_dim": 2}, "epochs": 4}


def with_part(name, **settings):
    return SMALL | {"model": {"latent_dim": 2, name: settings}}


def with_network(**settings):
    return with_part("likelihood_family", **{"class": "PixelCNNLikelihood"}, network=settings)


@pytest.fixture
def load(tmp_path):
    """`Recipe.load` of a file with this content."""

    def load(content):
        path = tmp_path / "recipe.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return Recipe.load(path)

    return load


# === Reading ===


def test_text_of_a_recipe_is_read_back(load):
    recipe = Recipe(**SMALL, notes="über", global_clipnorm=None, binarise="static", seed=3)
    assert load(recipe.to_json()) == recipe


def test_keys_that_came_later_may_be_missing(load):
    old = {**SMALL, "seed": 0}
    assert load(old).differences(Recipe(**SMALL)) == []


def test_differences_are_named_without_notes():
    other = Recipe(**SMALL | {"epochs": 5}, notes="n", learning_rate=1.0)
    assert Recipe(**SMALL).differences(other) == ["epochs", "learning_rate"]


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="mnist_dynamic, .*or the path.*source='mnist_dinamic'"):
        Recipe.load("mnist_dinamic")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a recipe. Expecting property name"),
        ("[1]", r"must be an object with keys. Received: \[1\]"),
        ('{"dataset": "x"}', "must have model, epochs. Received: dataset"),
        (SMALL | {"epoch": 3}, "keys of a recipe are dataset, model.*Received: epoch"),
        (SMALL | {"model": {"latent": 3}}, "keys of model are.*latent_dim.*Received: latent"),
        (SMALL | {"model": {"latent_dim": 2, "seed": 1}}, "keys of model.*Received: seed"),
    ],
)
def test_not_a_recipe(load, content, message):
    with pytest.raises(ValueError, match=message):
        load(content)


def test_binary_file(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(ValueError, match="is not a recipe"):
        Recipe.load(path)


# === Refusing ===


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("dataset", 3, "of type str"),
        ("model", "vlae", "of type dict"),
        ("epochs", "10", "of type int"),
        ("epochs", True, "of type int"),
        ("epochs", 2.5, "of type int"),
        ("epochs", 0, "at least 1"),
        ("batch_size", -1, "at least 1"),
        ("warmup_steps", -1, "at least 0"),
        ("seed", -1, "at least 0"),
        ("validation_split", False, r"of type str \| None"),
        ("learning_rate", 0, "positive and finite"),
        ("learning_rate", float("nan"), "positive and finite"),
        ("learning_rate", "1e-3", "of type float"),
        ("global_clipnorm", -5.0, "positive and finite"),
        ("ema_momentum", 1.0, "less than 1"),
        ("binarise", "sometimes", "dynamic, static or null"),
        ("jit_compile", 1, "of type bool"),
        ("dtype", "float31", "a policy of Keras"),
        ("dtype", "float64", "with weights in float32"),
    ],
)
def test_wrong_field(field, value, expected):
    with pytest.raises(ValueError, match=f"`{field}` must be .*{expected}.*Received: {field}="):
        Recipe(**SMALL | {field: value})


@pytest.mark.parametrize("value", [None, -1, 2.0, "8", True])
def test_wrong_latent_dim(value):
    with pytest.raises(ValueError, match="`latent_dim`, an integer of at least 0. Received"):
        Recipe(**SMALL | {"model": {"latent_dim": value}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (with_part("encoder"), '`encoder` must be an object with a "class", one of DenseNetE'),
        (
            with_part("encoder", **{"class": "FlowPrior"}),
            "one of DenseNetEncoder, ResNetEncoder. Received",
        ),
        (
            with_part("prior_family", **{"class": "Flow"}),
            "one of FlowPrior, SpatialFlowPrior. Received.*'Flow'",
        ),
        (
            with_part("prior_family", **{"class": "FlowPrior"}, depth=2),
            "keys of prior_family of class FlowPrior are class, .*hidden_units.*Received: depth",
        ),
        (
            with_part("encoder", **{"class": "ResNetEncoder"}, units="192"),
            "`units` of ResNetEncoder must be like its default, 384. Received: units='192'",
        ),
        (
            with_part("encoder", **{"class": "ResNetEncoder"}, weight_norm=1),
            "`weight_norm` of ResNetEncoder must be like its default, False.*weight_norm=1",
        ),
        (with_network(**{"class": "PixelRNN"}), "`network` must be.*LocalPixelCNN.*PixelRNN"),
        (with_network(**{"class": "LocalPixelCNN"}, block=1), "LocalPixelCNN are.*: block$"),
        (SMALL | {"objective": {"class": "IWELBO"}}, "`objective` must be .*one of ELBO"),
        (SMALL | {"objective": {"class": "ELBO", "beta": 1}}, "free_bits.*Received: beta"),
        (SMALL | {"model": {"latent_dim": 2, "image_shape": [8, 8]}}, "`image_shape` must be"),
    ],
)
def test_wrong_part(settings, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (with_part("encoder", **{"class": "ResNetEncoder"}, filters=[-4]), "`encoder` cannot be"),
        (with_part("encoder", **{"class": "ResNetEncoder"}, units=-4), "`model` cannot be built"),
        (
            with_part("decoder", **{"class": "ResNetDecoder"}, filters=[4, 4, 4, 4, 4]),
            "`decoder` cannot be built. `image_shape` must",
        ),
        (SMALL | {"objective": {"class": "ELBO", "free_bits": -1}}, "`objective` cannot be built"),
    ],
)
def test_part_that_cannot_be_built(settings, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**settings).build_model((8, 8, 1))


# === Building ===


def test_parts_get_what_the_model_knows(tiny_recipe):
    recipe = tiny_recipe("digits.npz", dtype="mixed_bfloat16", seed=5)
    model = recipe.build_model((8, 8, 1))
    assert model.decoder.image_shape == (8, 8, 1)
    assert model.prior_family.latent_dim == model.latent_dim == 3
    assert model.likelihood_family.network.output_channels == 1
    assert model.objective.seed == model.seed == 5
    assert model.encoder.compute_dtype == model.decoder.compute_dtype == "bfloat16"
    assert model.likelihood_family.network.compute_dtype == "bfloat16"
    # Densities stay in full precision.
    assert model.prior_family.compute_dtype == model.objective.compute_dtype == "float32"


def test_learning_rate_rises_and_falls_to_zero():
    recipe = Recipe(**SMALL, learning_rate=0.5, warmup_steps=20)
    rates = [float(recipe.optimizer(100).learning_rate)]
    schedule = recipe.optimizer(steps_per_epoch=100)._learning_rate
    rates = np.array([float(schedule(step)) for step in range(401)])
    np.testing.assert_allclose(rates[:21], 0.5 * np.arange(21) / 20, rtol=1e-5)
    assert (np.diff(rates[20:]) < 0).all()
    assert rates[-1] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("steps_per_epoch", [1, 10])
def test_warmup_is_at_most_a_tenth_of_a_short_run(steps_per_epoch):
    schedule = Recipe(**SMALL, learning_rate=0.5).optimizer(steps_per_epoch)._learning_rate
    assert float(schedule(4 * steps_per_epoch // 10)) == pytest.approx(0.5)


def test_optimizer_clips_and_averages():
    recipe = Recipe(**SMALL, global_clipnorm=2, ema_momentum=0.9)
    optimizer = recipe.optimizer(10)
    assert (optimizer.global_clipnorm, optimizer.use_ema, optimizer.ema_momentum) == (2, True, 0.9)


# === The control ===


@pytest.mark.parametrize("name", Recipe.names())
def test_control_differs_by_its_code_alone(name):
    vlae = Recipe.load(name)
    control = vlae.control()
    assert set(vlae.differences(control)) <= {"model", "objective", "initial_weights"}
    assert control.model["latent_dim"] == 0 < vlae.model["latent_dim"]
    assert control.model.get("likelihood_family") == vlae.model.get("likelihood_family")
    about_codes = {"code_shape": None, "units": None}
    assert vlae.model["decoder"] | about_codes == control.model["decoder"] | about_codes


@pytest.mark.parametrize("code_shape", [None, [2, 2, 3]])
def test_control_is_the_decoder_with_all_its_weights_in_use(code_shape):
    kinds = {"encoder": "DenseNetEncoder", "decoder": "DenseNetDecoder"}
    parts = {
        name: {"class": kind, "filters": [2, 4], "blocks": 1, "units": None if code_shape else 2}
        for name, kind in kinds.items()
    }
    parts["decoder"] |= {"code_shape": code_shape, "maps": 3}
    likelihood = {"class": "FactorisedLogisticMixtureLikelihood", "components": 2}
    recipe = Recipe(
        **SMALL
        | {
            "model": {
                "latent_dim": 12,
                **parts,
                "posterior_family": {"class": "GaussianPosterior", "code_shape": code_shape},
                "likelihood_family": likelihood,
            },
            "objective": {"class": "SoftFreeBitsELBO", "free_bits": 1.0},
        }
    )
    vlae, control = recipe.build_model((4, 4, 3)), recipe.control().build_model((4, 4, 3))

    def shapes(model):
        """Of the decoder's convolutions."""
        return sorted(tuple(w.shape) for w in model.decoder.weights if len(w.shape) == 4)

    extra = [(3, 3, 3, 4)] if code_shape else []  # from a map of codes
    assert shapes(vlae) == sorted(shapes(control) + extra)
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3))
    terms = control.objective(images, model=control)
    np.testing.assert_allclose(terms["loss"], -ops.mean(terms["reconstruction"]), rtol=1e-6)
    assert float(ops.max(ops.abs(terms["kl"]))) == 0.0
    # With a code images get maps of their own, and without one all get the same.
    maps = [np.asarray(m._decoded(m(images)["code"])) for m in (vlae, control)]
    assert [bool(np.allclose(m, m[:1])) for m in maps] == [False, True]


def test_control_of_a_control_is_refused():
    with pytest.raises(ValueError, match="must have a code.*latent_dim=0"):
        Recipe(**SMALL).control().control()


# === The recipes that come along ===


@pytest.mark.parametrize("name", Recipe.names())
def test_recipe_that_comes_along_says_how_to_run_it(name):
    assert f"vlae-tf train {name} --out" in Recipe.load(name).notes


def test_factorised_recipe_differs_by_its_likelihood_alone():
    vlae, factorised = Recipe.load("mnist_static"), Recipe.load("mnist_static_factorised")
    assert vlae.differences(factorised) == ["model"]
    likelihood = {"likelihood_family": {"class": "BernoulliLikelihood"}}
    assert vlae.model | likelihood == factorised.model


def test_paper_recipe_is_the_papers():
    recipe = Recipe.load("mnist_static_paper")
    prior, decoder = recipe.model["prior_family"], recipe.model["decoder"]
    assert (recipe.model["latent_dim"], decoder["maps"]) == (64, 4)
    assert prior["mean_only"] and (prior["steps"], prior["hidden_units"]) == (4, [640, 640, 640])
    assert recipe.objective["free_bits"] == pytest.approx(0.01 * 28 * 28)
    network = build_part("network", recipe.model["likelihood_family"]["network"], dtype="float32")
    assert network.tied and network.weight_norm and network.receptive_field.above == 6
    assert (recipe.ema_momentum, recipe.learning_rate) == (0.998, 0.002)


@pytest.mark.parametrize("name", ["mnist_dynamic", "omniglot", "caltech101_silhouettes"])
def test_paper_recipes_of_binary_images_differ_by_tied_weights_alone(name):
    static, recipe = Recipe.load("mnist_static_paper"), Recipe.load(f"{name}_paper")
    assert static.differences(recipe) == ["dataset", "model"] and recipe.dataset == name
    network = recipe.model["likelihood_family"]["network"]
    likelihood = recipe.model["likelihood_family"] | {"network": network | {"tied": True}}
    assert not network["tied"]
    assert recipe.model | {"likelihood_family": likelihood} == static.model


@pytest.mark.parametrize("encoder", ["resnet", "densenet", "resnet_paper", "densenet_paper"])
def test_window_of_the_colour_recipes_is_7x4(encoder):
    # As many outputs as an image has channels: a paper-size network takes them one after another.
    network = Recipe.load(f"cifar10_{encoder}").model["likelihood_family"]["network"]
    network = build_part("network", network | {"output_channels": 3}, dtype="float32")
    above, left, right, _ = network.receptive_field
    assert (left + 1 + right, above, left) == (7, 4, 3)


def test_recipe_of_the_full_context_sees_all_of_an_image():
    recipe = Recipe.load("cifar10_full_context")
    network = recipe.model["likelihood_family"]["network"]
    above, left, right, _ = build_part("network", network, dtype="float32").receptive_field
    height, width, _ = DATASETS[recipe.dataset].image_shape
    assert above >= height - 1 and left >= width - 1 and right >= width - 1


@pytest.mark.parametrize("encoder", ["resnet", "densenet"])
def test_paper_recipes_of_colours_have_the_papers_sizes(encoder):
    model = Recipe.load(f"cifar10_{encoder}_paper").model
    assert model["encoder"]["filters"] == model["decoder"]["filters"] == [48, 96, 96]
    prior, network = model["prior_family"], model["likelihood_family"]["network"]
    assert (prior["code_shape"], prior["steps"], prior["filters"]) == ([8, 8, 16], 6, 128)
    assert (network["blocks"], network["groups"]) == (4, 3)


@pytest.mark.parametrize("window", ["4x2", "5x3", "7x4_grey"])
def test_lossy_paper_recipes_have_the_windows_of_the_small_ones(window):
    base = Recipe.load("cifar10_densenet_paper")
    paper = Recipe.load(f"cifar10_lossy_{window}_paper")
    assert base.differences(paper) == ["model"]
    small = Recipe.load(f"cifar10_lossy_{window}").model["likelihood_family"]
    likelihood = paper.model["likelihood_family"]
    assert likelihood.get("grey_window") == small.get("grey_window")
    key = "first_kernel_size"
    assert likelihood["network"][key] == small["network"][key]
    rest = {**paper.model, "likelihood_family": base.model["likelihood_family"]}
    assert rest == base.model


def test_lossy_recipes_differ_by_their_window_alone():
    windows = {"4x2": [5, 4], "5x3": [7, 5], "7x4": [9, 7], "7x4_grey": [9, 7]}
    base = Recipe.load("cifar10_lossy_4x2")
    for name, kernel in windows.items():
        recipe = Recipe.load(f"cifar10_lossy_{name}")
        likelihood = recipe.model["likelihood_family"]
        assert likelihood["network"]["first_kernel_size"] == kernel
        assert likelihood.get("grey_window", False) == name.endswith("grey")
        network = {**likelihood["network"], "first_kernel_size": [5, 4]}
        likelihood = {k: v for k, v in likelihood.items() if k != "grey_window"}
        model = {**recipe.model, "likelihood_family": {**likelihood, "network": network}}
        assert dataclasses.replace(recipe, model=model).differences(base) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", Recipe.names())
def test_recipe_that_comes_along_takes_a_few_steps(name):
    recipe = dataclasses.replace(Recipe.load(name), epochs=1, warmup_steps=0)
    image_shape = DATASETS[recipe.dataset].image_shape
    model = recipe.build_model(image_shape)
    model.compile(optimizer=recipe.optimizer(1), run_eagerly=keras.backend.backend() != "jax")
    before = [ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    images = np.random.default_rng(0).integers(0, recipe.levels, (6, *image_shape), "uint8")
    history = model.fit(images, batch_size=2, verbose=0).history
    assert np.isfinite([value for values in history.values() for value in values]).all()
    after = [ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    assert all(np.isfinite(weight).all() for weight in after)
    assert any((weight != old).any() for weight, old in zip(after, before, strict=True))

"""Recipes: what can be read, what is refused and with which words, what they build."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from tests.tiny import TINY_MODEL, tiny_recipe
from vlae_tf.networks import ResNetEncoder
from vlae_tf.runs import Recipe
from vlae_tf.runs.parts import build_part, normal

pytestmark = pytest.mark.jax

SMALL = {"dataset": "digits.npz", "model": {"latent_dim": 2}, "epochs": 4}


def part(class_name, **config):
    return {"class_name": class_name, "config": config}


def with_part(name, *args, **config):
    return SMALL | {"model": {"latent_dim": 2, name: part(*args, **config)}}


def with_network(*args, **config):
    return with_part("likelihood_family", "PixelCNNLikelihood", network=part(*args, **config))


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
    recipe = Recipe(
        **SMALL,
        notes="über",
        optimizer=part("Adam", global_clipnorm=None),
        schedule=None,
        binarise="static",
        seed=3,
    )
    assert load(recipe.to_json()) == recipe


def test_fields_can_be_given_by_position():
    assert Recipe("digits.npz", {"latent_dim": 2}, 4) == Recipe(**SMALL)


def test_keys_that_came_later_may_be_missing(load):
    old = {**SMALL, "seed": 0}
    assert load(old).differences(Recipe(**SMALL)) == []


def test_differences_are_named_without_notes():
    other = Recipe(**SMALL | {"epochs": 5}, notes="n", optimizer=part("Adam"))
    assert Recipe(**SMALL).differences(other) == ["epochs", "optimizer"]


def test_replacement_is_checked_and_the_recipe_stays_as_it_is():
    recipe = Recipe(**SMALL)
    assert recipe.replace(epochs=9).epochs == 9 and recipe.epochs == 4
    with pytest.raises(ValueError, match="`epochs` must be at least 1. Received: epochs=0"):
        recipe.replace(epochs=0)
    with pytest.raises(ValueError, match="Received: epoch. Did you mean epochs?"):
        recipe.replace(epoch=1)
    with pytest.raises(AttributeError):
        recipe.epochs = 9


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="mnist_dynamic, .*or the path.*source='mnist_dinamic'"):
        Recipe.load("mnist_dinamic")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a recipe. .*recipe.json cannot be read as JSON: Expecting property"),
        ("[1]", r"must be an object with keys. Received: \[1\]"),
        ('{"dataset": "x"}', "recipe.json is not a recipe. The recipe must have model, epochs"),
        (SMALL | {"epoch": 3}, "a recipe are dataset, model.*Received: epoch. .*mean epochs?"),
        (SMALL | {"model": {"latent": 3}}, "keys of model are.*latent_dim.*Received: latent"),
        (SMALL | {"model": {"latent_dim": 2, "seed": 1}}, "keys of model.*Received: seed"),
    ],
)
def test_not_a_recipe(load, content, message):
    with pytest.raises(ValueError, match=message) as raised:
        load(content)
    assert "pydantic" not in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "old",
    [
        {"learning_rate": 0.002},
        {"warmup_steps": 500},
        {"model": {"latent_dim": 2, "encoder": {"class": "DenseNetEncoder", "units": 8}}},
        {"model": {"latent_dim": 0}, "ema_momentum": 0.998},
    ],
)
def test_recipe_of_version_0_1(load, old):
    changes = "version 0.1 of vlae_tf.*class_name.*`learning_rate`.*`optimizer`.*`schedule`"
    with pytest.raises(ValueError, match=f"recipe.json is not a recipe. .*{changes}"):
        load(SMALL | old)


def test_binary_file(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(ValueError, match="is not a recipe"):
        Recipe.load(path)


# === Refusing ===


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("dataset", 3, "string"),
        ("model", "vlae", "dictionary"),
        ("epochs", "10", "integer"),
        ("epochs", True, "integer"),
        ("epochs", 2.5, "integer"),
        ("epochs", 0, "at least 1"),
        ("batch_size", -1, "at least 1"),
        ("seed", -1, "at least 0"),
        ("validation_split", False, "string, or None"),
        ("binarise", "sometimes", "'dynamic' or 'static', or None"),
        ("jit_compile", 1, "boolean"),
        ("dtype", "float31", "a policy of Keras"),
        ("dtype", "float64", "with weights in float32"),
    ],
)
def test_wrong_field(field, value, expected):
    with pytest.raises(ValueError, match=f"`{field}` must be .*{expected}.*Received: {field}="):
        Recipe(**SMALL | {field: value})


@pytest.mark.parametrize(
    ("field", "argument", "value", "expected"),
    [
        ("optimizer", "learning_rate", 0, "greater than 0"),
        ("optimizer", "learning_rate", float("nan"), "finite"),
        ("optimizer", "learning_rate", "1e-3", "number"),
        ("optimizer", "global_clipnorm", -5.0, "greater than 0"),
        ("optimizer", "ema_momentum", 1.0, "less than 1"),
        ("optimizer", "gradient_accumulation_steps", 1, "at least 2"),
        ("schedule", "warmup_steps", -1, "at least 0"),
        ("schedule", "decay_steps", 0, "at least 1"),
    ],
)
def test_wrong_argument_of_optimizer_or_schedule(field, argument, value, expected):
    name = {"optimizer": "Adamax", "schedule": "CosineDecay"}[field]
    wrong = {field: part(name, **{argument: value})}
    with pytest.raises(ValueError, match=f"`{field}.config.{argument}` must be .*{expected}.*Rec"):
        Recipe(**SMALL | wrong)


@pytest.mark.parametrize("value", [None, -1, 0, 2.0, "8", True])
def test_wrong_latent_dim(value):
    with pytest.raises(ValueError, match="`model.latent_dim` must be .*(integer|least 1). Rec"):
        Recipe(**SMALL | {"model": {"latent_dim": value}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (with_part("encoder", None), "`model.encoder.class_name` must be a valid string"),
        (SMALL | {"objective": {}}, "must have objective.class_name"),
        (SMALL | {"objective": part("ELBO") | {"confg": {}}}, "objective are class_name, config"),
        (
            with_part("encoder", "ResNetEncodr"),
            "`encoder` must name .*register_keras_serial.*'ResNetEncodr'. Did you mean ResNetE",
        ),
        (with_part("encoder", "FlowPrior", steps=1, depth=1), "FlowPrior.*Received: depth"),
        (
            with_part("prior_family", "Flow"),
            "is a `Prior`.*such as FlowPrior, .*SpatialFlowPrior. Received.*'Flow'",
        ),
        (with_part("prior_family", "ResNetEncoder"), "`prior_family` must name.*is a `Prior`"),
        (
            with_part("prior_family", "FlowPrior", depth=2),
            "keys of prior_family of class FlowPrior are .*hidden_units.*Received: depth",
        ),
        (
            with_part("encoder", "ResNetEncoder", units="192"),
            "`units` of ResNetEncoder must be like its default, 384. Received: units='192'",
        ),
        (
            with_part("encoder", "ResNetEncoder", weight_norm=1),
            "`weight_norm` of ResNetEncoder must be like its default, False.*weight_norm=1",
        ),
        (with_network("PixelRNN"), "`likelihood_family.network` must name.*PixelRNN"),
        (with_network("LocalPixelCNN", block=1), "LocalPixelCNN are.*: block. Did you mean blocks"),
        (SMALL | {"objective": part("IWELBO")}, "`objective` must name .*such as ELBO"),
        (SMALL | {"objective": part("ELBO", beta=1)}, "free_bits.*Received: beta"),
        (SMALL | {"optimizer": part("Adem")}, "is a `Optimizer`.*Adadelta.*Did you mean Adam"),
        (SMALL | {"optimizer": part("Adam", beta=1)}, "beta_1.*Received: beta. Did you mean beta_"),
        (SMALL | {"schedule": part("Adam")}, "`schedule` must name.*CosineDecay.*'Adam'"),
        (SMALL | {"model": {"latent_dim": 2, "image_shape": [8, 8]}}, "`image_shape` must be"),
    ],
)
def test_wrong_part(settings, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (with_part("encoder", "ResNetEncoder", filters=[-4]), "`encoder` cannot be built"),
        (with_part("encoder", "ResNetEncoder", units=-4), "`encoder` cannot be built. `units`"),
        (
            with_part("decoder", "ResNetDecoder", filters=[4, 4, 4, 4, 4]),
            "`decoder` cannot be built. `image_shape` must",
        ),
        (with_part("decoder", "Flatten"), "`model` cannot be built. `decoder` must make maps"),
        (SMALL | {"objective": part("ELBO", free_bits=-1)}, "`objective` cannot be built"),
    ],
)
def test_part_that_cannot_be_built(settings, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**settings).build_model((8, 8, 1))


# === Building ===


def test_parts_get_what_the_model_knows():
    recipe = tiny_recipe("digits.npz", dtype="mixed_bfloat16", seed=5)
    model = recipe.build_model((8, 8, 1))
    assert model.decoder.image_shape == (8, 8, 1)
    assert model.prior_family.latent_dim == model.latent_dim == 2
    assert model.likelihood_family.network.output_channels == 1
    assert model.objective.seed == model.seed == 5
    assert model.encoder.compute_dtype == model.decoder.compute_dtype == "bfloat16"
    assert model.likelihood_family.network.compute_dtype == "bfloat16"
    # Densities stay in full precision.
    assert model.prior_family.compute_dtype == model.objective.compute_dtype == "float32"


def test_what_a_part_says_itself_comes_first():
    encoder = part("ResNetEncoder", **TINY_MODEL["encoder"]["config"], dtype="float32")
    recipe = tiny_recipe("digits.npz", dtype="mixed_bfloat16")
    model = recipe.replace(model=recipe.model | {"encoder": encoder}).build_model((8, 8, 1))
    assert model.encoder.compute_dtype == "float32"
    assert model.decoder.compute_dtype == "bfloat16"


@keras.saving.register_keras_serializable(package="tests")
class ScaledEncoder(ResNetEncoder):
    """A user's own part, with an argument of its own."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale


@pytest.mark.parametrize(
    "name", [{"class_name": "tests>ScaledEncoder"}, {"registered_name": "tests>ScaledEncoder"}]
)
def test_part_of_ones_own(load, name):
    config = TINY_MODEL["encoder"]["config"] | {"scale": 0.5}
    encoder = {"class_name": "ScaledEncoder", "config": config} | name
    recipe = tiny_recipe("digits.npz", model=TINY_MODEL | {"encoder": encoder})
    model = load(recipe.to_json()).build_model((8, 8, 1))
    assert isinstance(model.encoder, ScaledEncoder) and model.encoder.scale == 0.5
    assert recipe.model["encoder"]["class_name"] == "tests>ScaledEncoder"


def test_layer_of_keras_as_a_part():
    recipe = tiny_recipe("digits.npz", model=TINY_MODEL | {"encoder": {"class_name": "Flatten"}})
    assert isinstance(recipe.build_model((8, 8, 1)).encoder, keras.layers.Flatten)


@pytest.mark.parametrize("name", ["encoder", "decoder", "prior_family", "likelihood_family"])
def test_part_copied_from_a_config_is_the_same_part(name):
    recipe = tiny_recipe("digits.npz")
    built = getattr(recipe.build_model((8, 8, 1)), name)
    copied = json.loads(json.dumps(keras.saving.serialize_keras_object(built)))
    assert {"module", "registered_name"} <= copied.keys()
    again = recipe.replace(model=recipe.model | {name: copied}).build_model((8, 8, 1))
    assert getattr(again, name).get_config() == built.get_config()


def test_one_part_has_one_form():
    written = {
        "module": "vlae_tf.networks.resnet_encoder",
        "registered_name": "vlae_tf>ResNetEncoder",
        "class_name": "ResNetEncoder",
        "config": {"filters": (2, 4)},
        "build_config": {"input_shape": [None, 8, 8, 1]},
    }
    assert normal(written) == part("ResNetEncoder", filters=[2, 4])
    assert normal({"class_name": "vlae_tf>ELBO"}) == part("ELBO")


# === The control ===


@pytest.mark.parametrize("name", Recipe.names())
def test_control_differs_by_its_code_alone(name):
    vlae = Recipe.load(name)
    control = vlae.control()
    assert set(vlae.differences(control)) <= {"model", "objective", "initial_weights"}
    assert control.model["latent_dim"] == 1
    assert control.model["posterior_family"] == part("PriorPosterior")
    assert control.model["prior_family"] == part("FlowPrior", steps=0)
    assert control.model.get("likelihood_family") == vlae.model.get("likelihood_family")
    about_codes = {"code_shape": None, "units": None}
    decoders = vlae.model["decoder"], control.model["decoder"]["config"]["decoder"]
    mine, theirs = (decoder["config"] | about_codes for decoder in decoders)
    assert mine == theirs and decoders[0]["class_name"] == decoders[1]["class_name"]


@pytest.mark.parametrize("code_shape", [None, [2, 2, 3]])
def test_control_is_the_decoder_with_all_its_weights_in_use(code_shape):
    sizes = {"filters": [2, 4], "blocks": 1, "block": "dense"}
    recipe = Recipe(
        **SMALL
        | {
            "model": {
                "latent_dim": 12,
                "encoder": part("ResNetEncoder", units=None if code_shape else 2, **sizes),
                "decoder": part("ResNetDecoder", units=2, maps=3, code_shape=code_shape, **sizes),
                "posterior_family": part("GaussianPosterior", code_shape=code_shape),
                "likelihood_family": part("FactorisedLogisticMixtureLikelihood", components=2),
            },
            "objective": part("SoftFreeBitsELBO", free_bits=1.0),
        }
    )
    vlae, control = recipe.build_model((4, 4, 3)), recipe.control().build_model((4, 4, 3))
    assert vlae.has_code and not control.has_code

    def shapes(model):
        """Shapes of the decoder's convolutions."""
        return sorted(tuple(w.shape) for w in model.decoder.weights if len(w.shape) == 4)

    extra = [(3, 3, 3, 4)] if code_shape else []  # from a map of codes
    assert shapes(vlae) == sorted(shapes(control) + extra)
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3))
    terms = control.objective(images, model=control)
    np.testing.assert_allclose(terms["loss"], -ops.mean(terms["reconstruction"]), rtol=1e-6)
    assert float(ops.max(ops.abs(terms["kl"]))) == 0.0
    # With a code images get maps of their own, and without one all get the same.
    maps = [ops.convert_to_numpy(m.decoder(m(images)["code"])) for m in (vlae, control)]
    assert [bool(np.allclose(m, m[:1])) for m in maps] == [False, True]


def test_control_of_a_control_is_refused():
    with pytest.raises(ValueError, match="must have a code.*Unconditional"):
        Recipe(**SMALL).control().control()


def test_network_of_a_part_gets_what_the_model_knows():
    network = part("GatedPixelCNN", filters=6, blocks=1, first_kernel_size=3, groups=3)
    settings = part("LogisticMixtureLikelihood", components=2, network=network)
    known = {"image_shape": (4, 4, 3), "dtype": "float32"}
    likelihood = build_part("likelihood_family", settings, **known)
    assert likelihood.network.output_channels == 3 * 2 * 3

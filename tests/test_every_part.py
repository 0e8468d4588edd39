"""What every part of a model promises: encoders, decoders, posteriors, priors, likelihoods and
objectives, each a row in a table."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import gradient, randomise, weight_gradients
from tests.tiny import numpy_of, tiny_model
from vlae_tf import likelihoods, networks, objectives, posteriors, priors
from vlae_tf.distributions import CodeDistribution, ImageDistribution
from vlae_tf.layers import GatedPixelCNN, LocalPixelCNN

pytestmark = pytest.mark.jax
ROWS, SIZE, SHAPE, COLOURS = 3, 4, (4, 4, 1), (4, 4, 3)
IMAGES, CODES, FEATURES, MAPS = SHAPE, (SIZE,), (8,), (4, 4, 2)


def decoder(**options):
    return networks.ResNetDecoder(SHAPE, 2, [2, 4], [0, 1], units=5, **options)


# By name: what makes it, the shape of its input without the batch, and every argument given.
NETWORKS = {
    "ResNetEncoder": (
        networks.ResNetEncoder,
        IMAGES,
        {"filters": [2, 4], "blocks": [0, 1], "units": 5, "dropout": 0.1, "weight_norm": True}
        | {"seed": 3},
    ),
    "ResNetEncoder, dense blocks": (
        networks.ResNetEncoder,
        IMAGES,
        {"filters": [2, 4], "blocks": [0, 1], "units": None, "block": "dense", "seed": 3},
    ),
    "ResNetDecoder": (
        networks.ResNetDecoder,
        CODES,
        {"image_shape": SHAPE, "maps": 2, "filters": [2, 4], "blocks": [0, 1], "units": 5}
        | {"dropout": 0.1, "weight_norm": True, "seed": 3},
    ),
    "ResNetDecoder, dense blocks": (
        networks.ResNetDecoder,
        CODES,
        {"image_shape": SHAPE, "maps": 2, "filters": [2, 4], "blocks": 1, "block": "dense"}
        | {"code_shape": (2, 2, 1)},
    ),
    "ChainDecoder": (
        networks.ChainDecoder,
        CODES,
        {"image_shape": SHAPE, "rungs": [1, 2, 1], "maps": 2, "filters": [2, 3], "blocks": 0}
        | {"units": 5, "dropout": 0.1, "weight_norm": True, "seed": 3},
    ),
    "MLPEncoder": (
        networks.MLPEncoder,
        IMAGES,
        {"units": [5, 3], "weight_norm": True},
    ),
    "MLPDecoder": (
        networks.MLPDecoder,
        CODES,
        {"image_shape": SHAPE, "maps": 2, "units": [5], "weight_norm": True, "code_size": SIZE},
    ),
    "LadderEncoder": (
        networks.LadderEncoder,
        IMAGES,
        {"units": [[5], [4, 3]], "weight_norm": True},
    ),
    "LadderDecoder": (
        networks.LadderDecoder,
        CODES,
        {"image_shape": SHAPE, "rungs": [2, 2], "units": [[16], [16, 16]], "maps": 2, "gate": 0.2}
        | {"weight_norm": True},
    ),
    "Unconditional": (networks.Unconditional, CODES, {"decoder": decoder}),
}
POSTERIORS = {
    "FullGaussianPosterior": (posteriors.FullGaussianPosterior, {"latent_dim": SIZE}),
    "GaussianPosterior": (posteriors.GaussianPosterior, {"latent_dim": SIZE}),
    "GaussianPosterior, as a map": (
        posteriors.GaussianPosterior,
        {"latent_dim": SIZE, "code_shape": (2, 2, 1)},
    ),
    "IAFPosterior": (
        posteriors.IAFPosterior,
        {"latent_dim": SIZE, "steps": 1, "hidden_units": [8], "context_size": 5}
        | {"mean_only": True},
    ),
    "HierarchicalPosterior": (
        posteriors.HierarchicalPosterior,
        {"latent_dim": SIZE, "rungs": [3, 1], "units": [5], "activation": "elu"},
    ),
    "LadderPosterior": (
        posteriors.LadderPosterior,
        {"latent_dim": SIZE, "rungs": [3, 1], "feature_sizes": [6, 2]},
    ),
    "LaplacePosterior": (
        posteriors.LaplacePosterior,
        {"latent_dim": SIZE, "steps": 2, "rate": 0.7},
    ),
    "MixturePosterior": (
        posteriors.MixturePosterior,
        {"latent_dim": SIZE, "components": 3, "least_share": 0.05},
    ),
    "PriorPosterior": (posteriors.PriorPosterior, {"latent_dim": SIZE}),
}
PRIORS = {
    "FlowPrior": (
        priors.FlowPrior,
        {"latent_dim": SIZE, "steps": 1, "hidden_units": [8, 8], "mean_only": False}
        | {"weight_norm": True},
    ),
    "HierarchicalPrior": (
        priors.HierarchicalPrior,
        {"latent_dim": SIZE, "rungs": [1, 2, 1], "units": [5], "activation": "elu"},
    ),
    "GaussianMixturePrior": (
        priors.GaussianMixturePrior,
        {"latent_dim": SIZE, "components": [2, 3], "rungs": [1, 3], "scale": 0.5, "seed": 3},
    ),
    "GaussianMixturePrior, one rung": (
        priors.GaussianMixturePrior,
        {"latent_dim": SIZE, "components": 3},
    ),
    "FlowPrior, no steps": (priors.FlowPrior, {"latent_dim": SIZE, "steps": 0}),
    "SpatialFlowPrior": (
        priors.SpatialFlowPrior,
        {"code_shape": (2, 2, 1), "steps": 1, "filters": 3, "hidden_layers": 1, "kernel_size": 3}
        | {"groups": 1, "mean_only": False, "weight_norm": True},
    ),
}
LIKELIHOODS = {
    "BernoulliLikelihood": (likelihoods.BernoulliLikelihood, {"image_shape": SHAPE}),
    "BernoulliLikelihood, of logits": (
        likelihoods.BernoulliLikelihood,
        {"image_shape": (*SHAPE[:2], 2), "projection": False},
    ),
    "FactorisedLogisticMixtureLikelihood": (
        likelihoods.FactorisedLogisticMixtureLikelihood,
        {"image_shape": COLOURS, "components": 3},
    ),
    "GaussianLikelihood": (likelihoods.GaussianLikelihood, {"image_shape": COLOURS}),
    "GaussianLikelihood, of means": (
        likelihoods.GaussianLikelihood,
        {"image_shape": (*SHAPE[:2], 2), "projection": False},
    ),
    "PixelCNNLikelihood": (
        likelihoods.PixelCNNLikelihood,
        {"image_shape": SHAPE, "network": lambda: LocalPixelCNN(1, filters=2, blocks=1)},
    ),
    "LogisticMixtureLikelihood": (
        likelihoods.LogisticMixtureLikelihood,
        {"image_shape": COLOURS, "components": 2, "grey_window": True}
        | {"network": lambda: GatedPixelCNN(20, filters=2, blocks=1)},
    ),
}
OBJECTIVES = {
    "ELBO": (
        objectives.ELBO,
        {"free_bits": 0.5, "groups": 2, "warmup_steps": 4, "samples": 3, "seed": 5},
    ),
    "ImportanceWeightedELBO": (
        objectives.ImportanceWeightedELBO,
        {"samples": 3, "estimator": "dreg", "chunk": 1, "seed": 5},
    ),
    "InfoELBO": (
        objectives.InfoELBO,
        {"alpha": 0.5, "weight": 3.0, "kernel": "imq", "scales": [1.0, 2.0], "free_bits": 0.5}
        | {"warmup_steps": 4, "seed": 5},
    ),
    "LadderELBO": (
        objectives.LadderELBO,
        {"rungs": [1, 1], "steps_a_rung": 3, "fade_steps": 2, "seed": 5},
    ),
    "MixtureELBO": (objectives.MixtureELBO, {"seed": 5}),
    "MutualPosteriorDivergenceELBO": (
        objectives.MutualPosteriorDivergenceELBO,
        {"eta": 0.5, "gamma": 0.2, "free_bits": 0.5, "warmup_steps": 4, "seed": 5},
    ),
    "RecursiveMixtureELBO": (
        objectives.RecursiveMixtureELBO,
        {"bound": 3.0, "samples": 2, "seed": 5},
    ),
    "SequentialELBO": (
        objectives.SequentialELBO,
        {"rungs": [1, 1], "step_weight": 0.5, "seed": 5},
    ),
    "SoftFreeBitsELBO": (
        objectives.SoftFreeBitsELBO,
        {"free_bits": 2.0, "tolerance": 0.1, "rate": 0.2, "initial_weight": 0.3, "seed": 4},
    ),
}
TABLES = {
    networks: ({n: (k, a) for n, (k, _, a) in NETWORKS.items()}, set()),
    posteriors: (POSTERIORS, {"Posterior"}),
    priors: (PRIORS, {"Prior", "AutoregressiveFlowPrior"}),
    likelihoods: (LIKELIHOODS, {"Likelihood", "FactorisedLikelihood"}),
    objectives: (OBJECTIVES, {"Objective"}),
}
EVERY = {name: case for table, _ in TABLES.values() for name, case in table.items()}


def make(kind, arguments, **options):
    given = {name: value() if callable(value) else value for name, value in arguments.items()}
    return kind(**given, **options)


def inputs_of(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=(ROWS, *shape))
    return ops.convert_to_tensor(values.astype("float32"))


def build(name):
    """The part with random weights, as one call after another would use it."""
    kind, arguments = EVERY[name]
    part = make(kind, arguments)
    if name in NETWORKS:
        part(inputs_of(*NETWORKS[name][1]))
    elif name in POSTERIORS:
        part(inputs_of(*FEATURES))
    elif name in LIKELIHOODS:
        part.build((None, *MAPS))
    return randomise(part, 0.3)


def outputs(name, part, x):
    """A tensor `(rows, ...)` in which every weight of the part has a say."""
    if name in NETWORKS:
        return part(x)
    if name in POSTERIORS:
        noise = ops.ones((ops.shape(x)[0], SIZE))
        code, log_prob = part.distribution(part(x)).from_noise_and_log_prob(noise)
        return ops.concatenate([code, log_prob[:, None]], axis=-1)
    if name in PRIORS:
        return ops.concatenate([part.distribution().from_noise(x), part(x)[:, None]], axis=-1)
    images = ops.ones((ops.shape(x)[0], *part.image_shape))
    return part.distribution(x).log_prob(images)[:, None]


def input_shape(name):
    if name in NETWORKS:
        return NETWORKS[name][1]
    return {**dict.fromkeys(POSTERIORS, FEATURES), **dict.fromkeys(PRIORS, CODES)}.get(name, MAPS)


MAPPING = [name for name in EVERY if name not in OBJECTIVES]


@pytest.mark.parametrize("room", TABLES, ids=lambda room: room.__name__)
def test_every_public_part_is_tried_here(room):
    table, bases = TABLES[room]
    public = {name for name in room.__all__ if isinstance(getattr(room, name), type)}
    assert public - bases == {kind.__name__ for kind, _ in table.values()}


@pytest.mark.parametrize("name", EVERY)
def test_config_holds_every_argument(name):
    kind, arguments = EVERY[name]
    part = make(kind, arguments)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(part))
    assert type(copy) is kind and copy.get_config() == part.get_config()
    for key, value in arguments.items():
        if callable(value):
            assert getattr(copy, key).get_config() == getattr(part, key).get_config()
        else:
            assert getattr(copy, key) == getattr(part, key) == part.get_config()[key] == value


@pytest.mark.parametrize("name", MAPPING)
def test_every_weight_matters_and_rows_do_not_mix(name):
    part, x = build(name), inputs_of(*input_shape(name))

    def loss(rows=slice(None)):
        return ops.sum(ops.square(ops.cast(outputs(name, part, x), "float32")[rows]))

    gradients = weight_gradients(part, loss) if part.trainable_variables else {}
    dead = [path for path, values in gradients.items() if not np.any(values)]
    # The kernel that would multiply the code.
    assert dead == ([part.decoder._dense._kernel.path] if name == "Unconditional" else [])
    of_row = gradient(
        lambda x: ops.sum(ops.square(ops.cast(outputs(name, part, x), "float32")[1])), x
    )
    assert not np.any(of_row[[0, 2]])
    ignores = ("Unconditional", "PriorPosterior")
    assert np.any(of_row[1]) == (name not in ignores)


@pytest.mark.parametrize("name", MAPPING)
def test_distributions_are_of_their_kind_and_float32(name):
    if name in NETWORKS:
        pytest.skip("networks give tensors")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        part, x = build(name), inputs_of(*input_shape(name))
        if name in POSTERIORS:
            distribution, event = part.distribution(part(x)), (SIZE,)
        elif name in PRIORS:
            distribution, event = part.distribution(), (SIZE,)
        else:
            distribution, event = part.distribution(x), part.image_shape
            assert isinstance(distribution, ImageDistribution)
        if name not in LIKELIHOODS:
            assert isinstance(distribution, CodeDistribution)
        assert tuple(distribution.event_shape) == event
        value = ops.ones((ROWS, *event), dtype="float32")
        log_prob = distribution.log_prob(value)
        assert tuple(log_prob.shape) == (ROWS,)
        assert keras.backend.standardize_dtype(log_prob.dtype) == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_the_shapes_they_say(name):
    kind, shape, arguments = NETWORKS[name]
    part = make(kind, arguments)
    found = part(inputs_of(*shape))
    assert tuple(found.shape) == tuple(part.compute_output_shape((ROWS, *shape)))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objective_in_training_and_outside(name):
    kind, arguments = OBJECTIVES[name]
    parts = {"objective": make(kind, arguments)}
    if name == "SequentialELBO":
        parts["decoder"] = networks.ChainDecoder((2, 3, 1), arguments["rungs"], filters=[2])
    if "Mixture" in name:
        parts["posterior_family"] = posteriors.MixturePosterior(2)
    model = tiny_model((2, 3, 1), 2, **parts)
    x = np.ones((5, 2, 3, 1), "float32")
    outside = model.objective(x, model=model, training=False)
    bound = "bound" if "bound" in model.objective.terms else "elbo"
    np.testing.assert_allclose(
        numpy_of(outside["loss"]), -numpy_of(outside[bound]).mean(), rtol=1e-5
    )
    before = model.objective.get_weights()
    model.objective(x, model=model, training=False)
    for old, new in zip(before, model.objective.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    spec = model.objective.compute_output_spec(keras.KerasTensor(x.shape), model)
    assert {key: tuple(value.shape) for key, value in outside.items()} == {
        key: tuple(value.shape) for key, value in spec.items()
    }


@pytest.mark.parametrize("name", [n for n, (_, given) in EVERY.items() if "seed" in given])
@pytest.mark.parametrize("seed", [True, -1, 1.5, "x", 2**70])
def test_an_invalid_seed_is_refused(name, seed):
    kind, arguments = EVERY[name]
    with pytest.raises(ValueError, match="`seed` must be an integer.*Received: seed="):
        make(kind, arguments | {"seed": seed})


@pytest.mark.parametrize("base", ["Posterior", "Prior"])
@pytest.mark.parametrize("latent_dim", [0, -1, 2.5, None, True])
def test_an_invalid_size_of_the_code_is_refused(base, latent_dim):
    kind = {"Posterior": posteriors.GaussianPosterior, "Prior": priors.FlowPrior}[base]
    with pytest.raises(ValueError, match="`latent_dim` must be an integer, at least 1. Received:"):
        kind(latent_dim)

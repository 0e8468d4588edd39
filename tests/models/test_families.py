"""The families of distributions and the networks, one by one."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from vlae_tf.backend import tfd
from vlae_tf.layers import GatedPixelCNN, LocalPixelCNN, ResidualPixelCNN
from vlae_tf.likelihoods import (
    BernoulliLikelihood,
    FactorisedLogisticMixtureLikelihood,
    PixelCNNLikelihood,
)
from vlae_tf.networks import DenseNetDecoder, DenseNetEncoder, ResNetDecoder, ResNetEncoder
from vlae_tf.noise import step_seed
from vlae_tf.posteriors import GaussianPosterior, IAFPosterior
from vlae_tf.priors import FlowPrior, SpatialFlowPrior

SHAPE = (4, 4, 1)


def randomised(layer, scale=0.3):
    """The layer with random weights, so that nothing rests on how it starts."""
    rng = np.random.default_rng(0)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(scale=scale, size=weight.shape))
    return layer


def numpy_of(tensor):
    return ops.convert_to_numpy(tensor)


PARTS = [
    (GaussianPosterior(3), {"latent_dim": 3}),
    (
        IAFPosterior(3, steps=1, hidden_units=[8], context_size=5, mean_only=True),
        {"steps": 1, "hidden_units": [8], "context_size": 5, "mean_only": True, "latent_dim": 3},
    ),
    (
        FlowPrior(3, steps=1, hidden_units=[8, 8], mean_only=False, weight_norm=True),
        {"steps": 1, "hidden_units": [8, 8], "mean_only": False, "weight_norm": True},
    ),
    (BernoulliLikelihood(SHAPE), {"image_shape": SHAPE}),
    (
        FactorisedLogisticMixtureLikelihood(SHAPE, components=3),
        {"image_shape": SHAPE, "components": 3},
    ),
    (
        ResNetEncoder(
            filters=[2, 4], blocks=[0, 1], units=5, dropout=0.1, weight_norm=True, seed=3
        ),
        {"filters": [2, 4], "blocks": [0, 1], "units": 5, "dropout": 0.1, "weight_norm": True}
        | {"seed": 3},
    ),
    (
        DenseNetEncoder(filters=[2, 4], blocks=[0, 1], units=None, seed=3),
        {"filters": [2, 4], "blocks": [0, 1], "units": None, "seed": 3},
    ),
    (
        DenseNetDecoder(SHAPE, 2, [2, 4], 1, code_shape=(2, 2, 3), dropout=0.1),
        {"image_shape": SHAPE, "maps": 2, "code_shape": (2, 2, 3), "dropout": 0.1},
    ),
    (
        ResNetDecoder(SHAPE, 2, [2, 4], [0, 1], units=5, dropout=0.1, weight_norm=True, seed=3),
        {"image_shape": SHAPE, "maps": 2, "filters": [2, 4], "blocks": [0, 1], "units": 5}
        | {"dropout": 0.1, "weight_norm": True, "seed": 3},
    ),
]


@pytest.mark.jax
@pytest.mark.parametrize("part, settings", PARTS, ids=lambda value: type(value).__name__)
def test_config_holds_every_argument(part, settings):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(part))
    assert type(copy) is type(part)
    for name, value in settings.items():
        assert getattr(copy, name) == getattr(part, name) == part.get_config()[name] == value


@pytest.mark.jax
def test_pixelcnn_likelihood_keeps_the_network_it_was_given():
    network = LocalPixelCNN(filters=2, blocks=0, first_kernel_size=3)
    family = PixelCNNLikelihood(SHAPE, network=network)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(family))
    assert copy.network.filters == 2 and copy.network.blocks == 0
    assert copy.image_shape == SHAPE


@pytest.mark.jax
def test_gaussian_posterior_starts_near_the_standard_normal():
    family = GaussianPosterior(3)
    parameters = family(np.zeros((2, 5), "float32"))
    np.testing.assert_allclose(numpy_of(parameters["loc"]), 0)
    np.testing.assert_allclose(numpy_of(parameters["scale"]), 1, atol=1e-3)


@pytest.mark.jax
def test_scale_of_a_posterior_is_positive_however_sure_it_is():
    family = randomised(GaussianPosterior(3))
    scale = numpy_of(family(np.full((2, 5), -1e4, "float32"))["scale"])
    assert scale.min() > 0 and np.isfinite(scale).all()


@pytest.mark.jax
def test_posteriors_and_prior_are_float32_whatever_the_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        families = [GaussianPosterior(3), IAFPosterior(3, steps=1, hidden_units=[4])]
        prior = FlowPrior(3, steps=1, hidden_units=[4]).distribution()
        features = ops.ones((2, 5), dtype="float32")
        for family in families:
            posterior = family.distribution(family(features))
            seed = step_seed(keras.random.SeedGenerator(0))
            code, log_prob = posterior.experimental_sample_and_log_prob(seed=seed)
            for tensor in (code, log_prob, prior.log_prob(code)):
                assert keras.backend.standardize_dtype(tensor.dtype) == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.jax
def test_flow_prior_of_no_steps_is_the_standard_normal():
    family = FlowPrior(3, steps=0)
    code = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    expected = tfd.MultivariateNormalDiag(ops.zeros(3), ops.ones(3)).log_prob(code)
    np.testing.assert_allclose(numpy_of(family(code)), numpy_of(expected), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(numpy_of(family.distribution().from_noise(code)), code)


@pytest.mark.jax
@pytest.mark.parametrize("steps", [-1, 2.5, None])
@pytest.mark.parametrize(
    ("family", "size"), [(FlowPrior, 3), (SpatialFlowPrior, (2, 2, 1)), (IAFPosterior, 3)]
)
def test_an_impossible_number_of_flow_steps_is_refused(family, size, steps):
    with pytest.raises(ValueError, match="`steps` must be an integer.* Received: steps="):
        family(size, steps=steps)


@pytest.mark.jax
def test_flow_prior_is_a_density_unlike_the_standard_normal():
    family = randomised(FlowPrior(1, steps=2, hidden_units=[8], mean_only=False))
    grid = np.linspace(-30, 30, 20001, dtype="float32")[:, None]
    log_prob = numpy_of(family(grid))
    np.testing.assert_allclose(np.exp(log_prob).sum() * (grid[1, 0] - grid[0, 0]), 1, atol=1e-3)
    assert abs(log_prob - numpy_of(FlowPrior(1, steps=0)(grid))).max() > 0.1


@pytest.mark.jax
def test_every_dimension_of_an_iaf_sample_depends_on_the_image():
    family = IAFPosterior(3, steps=1, hidden_units=[8])
    features = np.random.default_rng(0).normal(size=(2, 5)).astype("float32")
    family(features)
    randomised(family)
    codes = numpy_of(family.distribution(family(features)).from_noise(np.zeros((2, 3), "f")))
    assert (codes[0] != codes[1]).all()


@pytest.mark.jax
@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool"])
@pytest.mark.parametrize(
    "family",
    [BernoulliLikelihood(SHAPE), PixelCNNLikelihood(SHAPE, LocalPixelCNN(filters=2, blocks=0))],
    ids=["factorised", "pixelcnn"],
)
def test_likelihood_takes_images_of_any_number_type(family, dtype):
    maps = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype("float32")
    images = np.random.default_rng(1).integers(0, 2, (3, *SHAPE))
    distribution = family.distribution(maps)
    expected = numpy_of(distribution.log_prob(images.astype("float32")))
    assert expected.shape == (3,) and (expected < 0).all()
    np.testing.assert_array_equal(numpy_of(distribution.log_prob(images.astype(dtype))), expected)


@pytest.mark.jax
@pytest.mark.parametrize("network", [LocalPixelCNN, ResidualPixelCNN, GatedPixelCNN])
def test_pixelcnn_likelihood_is_a_distribution_that_hears_the_code(network):
    family = PixelCNNLikelihood((2, 3, 1), network(filters=3))
    family.build((None, 2, 3, 4))
    randomised(family)
    pixels = np.array(list(itertools.product([0, 1], repeat=6)), "float32").reshape(64, 2, 3, 1)
    log_probs = []
    for seed in range(2):
        maps = np.random.default_rng(seed).normal(size=(1, 2, 3, 4)).astype("float32")
        distribution = family.distribution(np.repeat(maps, 64, axis=0))
        log_probs.append(numpy_of(distribution.log_prob(pixels)))
        np.testing.assert_allclose(np.exp(log_probs[-1]).sum(), 1, rtol=1e-4)
    assert abs(log_probs[0] - log_probs[1]).max() > 0.1


def test_a_network_for_other_channels_is_refused():
    with pytest.raises(
        ValueError, match="must have 3 `output_channels`.*Received: network.output_channels=1"
    ):
        PixelCNNLikelihood((4, 4, 3), network=LocalPixelCNN())


@pytest.mark.jax
def test_pixelcnn_likelihood_gives_logits_of_images():
    family = PixelCNNLikelihood(SHAPE, LocalPixelCNN(filters=2, blocks=0))
    maps, images = np.ones((3, 4, 4, 2), "float32"), np.ones((3, *SHAPE), "float32")
    logits = numpy_of(family(maps, images))
    expected = (images * logits - np.logaddexp(0, logits)).sum((1, 2, 3))
    np.testing.assert_allclose(
        numpy_of(family.distribution(maps).log_prob(images)), expected, rtol=1e-5
    )


@pytest.mark.parametrize(
    "filters, blocks", [([2], 1), ([2, 4], 0), ([2, 4, 4], [0, 1, 2])], ids=str
)
def test_encoder_and_decoder_have_the_shapes_they_say(filters, blocks):
    encoder = ResNetEncoder(filters=filters, blocks=blocks, units=5)
    decoder = ResNetDecoder((8, 12, 1), maps=3, filters=filters, blocks=blocks, units=5)
    features = encoder(np.zeros((2, 8, 12, 1), "float32"))
    assert tuple(features.shape) == encoder.compute_output_shape((2, 8, 12, 1)) == (2, 5)
    maps = decoder(np.zeros((2, 4), "float32"))
    assert tuple(maps.shape) == decoder.compute_output_shape((2, 4)) == (2, 8, 12, 3)


@pytest.mark.jax
def test_every_pixel_reaches_the_features_and_every_code_every_map():
    encoder, decoder = ResNetEncoder([2, 4], 1, 5), ResNetDecoder((4, 4, 1), 2, [2, 4], 1, 5)
    pixels = np.eye(16, dtype="float32").reshape(16, 4, 4, 1)
    features = numpy_of(encoder(np.concatenate([np.zeros((1, 4, 4, 1), "float32"), pixels])))
    assert (abs(features[1:] - features[0]).max(1) > 1e-6).all()
    codes = np.concatenate([np.zeros((1, 3)), np.eye(3)]).astype("float32")
    maps = numpy_of(decoder(codes))
    assert (abs(maps[1:] - maps[0]).max((1, 2, 3)) > 1e-6).all()


@pytest.mark.jax
@pytest.mark.parametrize("blocks", [-1, [1], [1, 2, 3], [1, -1], [1, 0.5]], ids=str)
def test_blocks_that_do_not_fit_the_stages_are_refused(blocks):
    with pytest.raises(ValueError, match="`blocks` must be .* of the 2 stages .*Received: blocks="):
        ResNetEncoder(filters=[2, 4], blocks=blocks)


@pytest.mark.jax
def test_an_image_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match=r"divisible by 4, for 3 stages. Received: image_shape="):
        ResNetDecoder((8, 10, 1), filters=[2, 2, 2])

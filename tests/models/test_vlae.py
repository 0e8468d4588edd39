"""The model's parts, codes and images: what goes in, what comes out, what is refused."""

import keras
import numpy as np
import pytest

from tests.gradients import randomise
from tests.tiny import all_images, numpy_of, tiny_control
from vlae_tf import objectives
from vlae_tf.layers import ResidualPixelCNN
from vlae_tf.likelihoods import BernoulliLikelihood, PixelCNNLikelihood
from vlae_tf.models import VLAE
from vlae_tf.networks import ResNetDecoder
from vlae_tf.posteriors import GaussianPosterior, IAFPosterior
from vlae_tf.priors import FlowPrior

SHAPE = (6, 6, 1)


def iaf():
    return IAFPosterior(3, steps=2, hidden_units=[8], context_size=4)


# === Construction ===


@pytest.mark.jax
def test_model_is_built_when_it_is_made(tiny_vlae):
    model = tiny_vlae()
    assert model.built and model.count_params() > 0
    assert all(layer.built for layer in model._flatten_layers())
    before = len(model.weights)
    model(np.zeros((1, *SHAPE), "float32"))
    assert len(model.weights) == before


@pytest.mark.parametrize(
    "image_shape", [(28, 28), (0, 28, 1), (28, 28, 1.5), "28x28", None, 28], ids=str
)
def test_an_impossible_image_shape_is_refused(image_shape):
    with pytest.raises(ValueError, match="`image_shape` must be three .* Received: image_shape="):
        VLAE(image_shape)


@pytest.mark.parametrize("latent_dim", [-1, 0, 2.5, "8", None, True])
def test_an_impossible_latent_dim_is_refused(latent_dim):
    with pytest.raises(ValueError, match="`latent_dim` must be an integer.* Received: latent_dim="):
        VLAE(SHAPE, latent_dim)


@pytest.mark.parametrize(
    "part, value, received",
    [
        ("posterior_family", GaussianPosterior(4), "posterior_family.latent_dim=4"),
        ("prior_family", FlowPrior(2, steps=0), "prior_family.latent_dim=2"),
        ("likelihood_family", BernoulliLikelihood((6, 6, 3)), r"image_shape=\(6, 6, 3\)"),
    ],
)
def test_parts_of_another_size_are_refused(tiny_vlae, part, value, received):
    with pytest.raises(
        ValueError, match=f"`{part}` must have the model's .*Received: .*{received}"
    ):
        tiny_vlae(**{part: value})


def test_a_decoder_of_another_size_is_refused(tiny_vlae):
    decoder = keras.Sequential([keras.layers.Dense(20), keras.layers.Reshape((2, 5, 2))])
    with pytest.raises(ValueError, match=r"`decoder` must make maps .*\(batch, 6, 6, maps\)"):
        tiny_vlae(decoder=decoder)


def test_parts_may_be_plain_keras_layers(tiny_vlae, images):
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5)])
    decoder = keras.Sequential([keras.layers.Dense(72), keras.layers.Reshape((6, 6, 2))])
    model = tiny_vlae(encoder=encoder, decoder=decoder)
    assert model.reconstruct(images).shape == images.shape


@pytest.mark.jax
def test_config_holds_every_argument(tiny_vlae):
    settings = {
        "posterior_family": iaf(),
        "likelihood_family": BernoulliLikelihood(SHAPE),
        "objective": objectives.SoftFreeBitsELBO(free_bits=1.0),
        "seed": 7,
        "name": "mine",
    }
    model = tiny_vlae(**settings)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert copy.get_config() == model.get_config()
    assert (copy.image_shape, copy.latent_dim, copy.seed, copy.name) == (SHAPE, 3, 7, "mine")
    for name in ("encoder", "decoder", "prior_family", *list(settings)[:3]):
        assert type(getattr(copy, name)) is type(getattr(model, name))
        assert name in model.get_config()


def test_summary_and_clone(tiny_vlae, capsys):
    model = tiny_vlae()
    model.summary()
    assert "ResNetEncoder" in capsys.readouterr().out
    assert keras.models.clone_model(model).count_params() == model.count_params()


# === The four parts ===


@pytest.mark.jax
def test_parts_are_distributions_of_the_promised_shapes(model, images):
    posterior, prior = model.posterior(images), model.prior()
    likelihood = model.likelihood(np.zeros((20, 3), "float32"))
    assert (posterior.batch_shape, posterior.event_shape) == ((20,), (3,))
    assert (prior.batch_shape, prior.event_shape) == ((), (3,))
    assert (likelihood.batch_shape, likelihood.event_shape) == ((20,), SHAPE)
    assert tuple(likelihood.log_prob(images).shape) == (20,)


@pytest.mark.jax
def test_float_and_integer_images_are_the_same_images(model, images):
    expected = model.encode(images)
    assert expected.shape == (20, 3) and expected.dtype == np.float32
    for dtype in ("float32", "float64", "int64", "bool"):
        np.testing.assert_array_equal(model.encode(images.astype(dtype)), expected)


@pytest.mark.jax
def test_code_of_a_gaussian_posterior_is_its_mean(model, images):
    output = model(images)
    posterior = model.posterior(images)
    np.testing.assert_allclose(
        model.encode(images), numpy_of(posterior.mean()), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(numpy_of(output["code"]), model.encode(images), atol=1e-6)
    np.testing.assert_allclose(
        numpy_of(output["scale"]), numpy_of(posterior.stddev()), rtol=1e-5, atol=1e-6
    )


@pytest.mark.jax
def test_code_of_a_flow_posterior_is_the_flow_at_the_gaussian_mean(tiny_vlae, images):
    model = tiny_vlae(posterior_family=iaf())
    posterior = model.posterior(images)
    gaussian = posterior.distribution
    expected = numpy_of(posterior.bijector.forward(gaussian.mean()))
    np.testing.assert_allclose(model.encode(images), expected, atol=1e-5)
    np.testing.assert_allclose(
        numpy_of(model(images)["scale"]), numpy_of(gaussian.stddev()), rtol=1e-5
    )


def test_model_can_stand_in_a_functional_graph(tiny_vlae, images):
    vlae = tiny_vlae()
    inputs = keras.Input(SHAPE)
    codes = keras.Model(inputs, vlae(inputs)["code"])
    np.testing.assert_allclose(
        codes.predict(images, verbose=0), vlae.encode(images), rtol=1e-4, atol=1e-6
    )


# === Images from codes ===


@pytest.mark.jax
def test_decoded_images_are_binary_and_follow_the_seed(model):
    code = np.random.default_rng(0).normal(size=(4, 3))
    images = model.decode(code, seed=1)
    assert images.shape == (4, *SHAPE) and images.dtype == np.float32
    assert set(np.unique(images)) == {0, 1}
    np.testing.assert_array_equal(model.decode(code, seed=1), images)
    assert (model.decode(code, seed=2) != images).any((1, 2, 3)).all()


@pytest.mark.jax
def test_a_decoded_row_does_not_depend_on_its_batch(model):
    code = np.random.default_rng(0).normal(size=(5, 3))
    seeds = np.array([3, 1, 4, 1, 5])
    together = model.decode(code, seed=seeds)
    for row in (0, 3):
        alone = model.decode(code[row : row + 1], seed=seeds[row : row + 1])
        np.testing.assert_array_equal(alone[0], together[row])
    np.testing.assert_array_equal(model.decode(code[::-1], seed=seeds[::-1]), together[::-1])


@pytest.mark.jax
def test_decoding_goes_by_the_likelihood(tiny_vlae):
    model = tiny_vlae(likelihood_family=BernoulliLikelihood(SHAPE))
    code = np.random.default_rng(0).normal(size=(1, 3)).astype("float32")
    drawn = model.decode(np.repeat(code, 400, axis=0), seed=0)
    mean = numpy_of(model.likelihood(code).mean())[0]
    # The largest of 36 errors, each with a standard error of 0.025.
    assert abs(drawn.mean(0) - mean).max() < 0.1


@pytest.mark.jax
def test_reconstructions_are_decoded_codes(model, images):
    expected = model.decode(model.encode(images), seed=4)
    np.testing.assert_array_equal(model.reconstruct(images, seed=4), expected)


@pytest.mark.jax
def test_a_longer_sample_starts_with_a_shorter_one(model):
    long = model.sample(5, seed=0)
    assert long.shape == (5, *SHAPE) and set(np.unique(long)) == {0, 1}
    np.testing.assert_array_equal(model.sample(3, seed=0), long[:3])
    assert (model.sample(5, seed=1) != long).any((1, 2, 3)).all()
    assert len({image.tobytes() for image in long}) == 5


def test_samples_beyond_one_batch_are_of_one_sequence(model):
    np.testing.assert_array_equal(model.sample(130, seed=0)[:5], model.sample(5, seed=0))


@pytest.mark.jax
def test_seeds_of_rows_choose_the_samples(model):
    samples = model.sample(3, seed=[7, 8, 7])
    np.testing.assert_array_equal(samples[0], samples[2])
    np.testing.assert_array_equal(model.sample(1, seed=[8]), samples[1:2])


@pytest.mark.jax
def test_temperature_scales_the_noise_of_the_code(tiny_vlae):
    model = tiny_vlae(prior_family=FlowPrior(3, steps=0))
    seeds, ones = np.arange(4, dtype="int32"), np.ones(4, "float32")
    warm, cold = (numpy_of(model.sample_rows(seeds, ones * t)[1]) for t in (1.0, 0.25))
    np.testing.assert_allclose(cold, warm / 4, rtol=1e-5)
    np.testing.assert_array_equal(numpy_of(model.sample_rows(seeds, ones * 0)[1]), 0)


def test_images_follow_weights_that_were_loaded_later(tiny_vlae, images, tmp_path):
    model, other = tiny_vlae(), tiny_vlae()
    before = model.encode(images), model.sample(4)
    other.save_weights(tmp_path / "other.weights.h5")
    model.load_weights(tmp_path / "other.weights.h5")
    np.testing.assert_array_equal(model.encode(images), other.encode(images))
    np.testing.assert_array_equal(model.sample(4), other.sample(4))
    assert not np.allclose(model.encode(images), before[0])


def test_decoder_of_the_paper(tiny_vlae, images):
    """Four maps beside the image, into a residual PixelCNN with tied weights."""
    network = ResidualPixelCNN(filters=3, depth=4, weight_norm=True)
    model = tiny_vlae(
        decoder=ResNetDecoder(SHAPE, maps=4, filters=[4], blocks=0, units=8),
        likelihood_family=PixelCNNLikelihood(SHAPE, network=network),
    )
    assert model.likelihood_family.network is network
    model.initialize_from_data(images)
    codes = np.random.default_rng(0).normal(size=(2, 3))
    first, second = (np.repeat(code[None], 8, axis=0) for code in codes)
    assert (model.decode(first) != model.decode(second)).any()
    assert np.isfinite(numpy_of(model.likelihood(first).log_prob(images[:8]))).all()


# === The control without a code ===


@pytest.mark.jax
def test_control_has_codes_that_hold_nothing_and_varied_samples(images):
    model = tiny_control()
    assert not model.has_code and model.encoder.count_params() == 0
    np.testing.assert_array_equal(model.encode(images), np.zeros((20, 1)))
    samples = model.sample(5, seed=0)
    np.testing.assert_array_equal(model.reconstruct(images[:5], seed=0), samples)
    np.testing.assert_array_equal(model.decode(np.ones((5, 1)), seed=0), samples)
    assert len({image.tobytes() for image in samples}) == 5


@pytest.mark.jax
def test_likelihood_of_the_control_is_exact_with_one_sample():
    model = randomise(tiny_control((2, 3, 1)))
    one, many = (model.log_likelihood(all_images(), importance_samples=k) for k in (1, 4))
    np.testing.assert_allclose(one, many, rtol=1e-5)
    assert np.exp(one).sum() == pytest.approx(1, abs=1e-4)


def test_a_model_with_a_code_says_so(model):
    assert model.has_code


# === Bad input ===

METHODS = ["encode", "reconstruct", "log_likelihood"]


@pytest.mark.jax
@pytest.mark.parametrize("method", [*METHODS, "__call__"])
@pytest.mark.parametrize("shape", [(2, 6, 6), (2, 6, 6, 3), (6, 6, 1), (2, 28, 28, 1)], ids=str)
def test_images_of_another_shape_are_refused(model, method, shape):
    words = r"`images` must have shape \(batch, 6, 6, 1\).*Received:"
    with pytest.raises(ValueError, match=words):
        getattr(model, method)(np.zeros(shape))


@pytest.mark.jax
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pixel", [255, 0.5, -1, float("nan"), 1j, "1"], ids=repr)
def test_pixels_other_than_0_and_1_are_refused(model, method, pixel):
    images = np.zeros((2, *SHAPE), np.asarray(pixel).dtype)
    images[1, 2, 3, 0] = pixel
    with pytest.raises(
        ValueError, match="`images` must be binary.* binarise .*Received: images of"
    ):
        getattr(model, method)(images)


@pytest.mark.parametrize("method", METHODS)
def test_no_image_at_all_is_refused(model, method):
    with pytest.raises(ValueError, match="`images` must hold at least one image. Received:"):
        getattr(model, method)(np.zeros((0, *SHAPE)))


@pytest.mark.parametrize("shape", [(3,), (2, 4), (0, 3), (2, 3, 1)], ids=str)
def test_codes_of_another_shape_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"`code` must have shape \(batch, 3\).* Received: code"):
        model.decode(np.zeros(shape))


@pytest.mark.jax
def test_codes_that_are_not_finite_are_refused(model):
    with pytest.raises(
        ValueError, match="`code` must have finite numbers only, as float32. Received: code with 2 "
    ):
        model.decode([[0.0, np.nan, 0.0], [np.inf, 0.0, 0.0]])


@pytest.mark.parametrize("n", [0, -1, 2.0, "3", None])
def test_an_impossible_number_of_samples_is_refused(model, n):
    with pytest.raises(ValueError, match="`n` must be an integer, at least 1. Received: n="):
        model.sample(n)


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf"), "1", True])
def test_an_impossible_temperature_is_refused(model, temperature):
    with pytest.raises(
        ValueError, match="`temperature` must be a finite number, at least 0, or .*Received: temp"
    ):
        model.sample(1, temperature=temperature)


def test_an_impossible_seed_is_refused(model):
    for call in (
        lambda: model.sample(2, seed=-1),
        lambda: model.decode(np.zeros((2, 3)), seed=[1]),
    ):
        with pytest.raises(
            ValueError, match="`seed` must be .* each of the 2 rows. Received: seed"
        ):
            call()

"""A VLAE of colour images, from fit to a SavedModel."""

import keras
import numpy as np
import pytest

import vlae_tf
from vlae_tf.layers import GatedPixelCNN
from vlae_tf.likelihoods import FactorisedLogisticMixtureLikelihood, LogisticMixtureLikelihood
from vlae_tf.networks import ResNetDecoder, ResNetEncoder
from vlae_tf.priors import FlowPrior

pytestmark = pytest.mark.slow

SHAPE = (8, 8, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, *SHAPE)).astype("uint8")


def build(grey_window=False, factorised=False, **changes):
    keras.utils.set_random_seed(0)
    small = {"filters": [4], "blocks": 0, "units": 8}
    network = GatedPixelCNN(
        LogisticMixtureLikelihood.parameters_a_pixel(SHAPE, components=2),
        filters=4,
        blocks=1,
        first_kernel_size=(5, 4),
        block_kernel_size=1,
    )
    likelihood = LogisticMixtureLikelihood(SHAPE, network, components=2, grey_window=grey_window)
    if factorised:
        likelihood = FactorisedLogisticMixtureLikelihood(SHAPE, components=2)
    return vlae_tf.VLAE(
        SHAPE,
        3,
        ResNetEncoder(**small),
        ResNetDecoder(SHAPE, maps=2, **small),
        prior_family=FlowPrior(3, steps=1, hidden_units=[8]),
        likelihood_family=likelihood,
        **changes,
    )


# One test alone has graphs, from a recipe to the metrics.
eager = pytest.mark.usefixtures("eager")


@pytest.fixture(scope="module", params=[False, True], ids=["windowed", "factorised"])
def model(request):
    return build(factorised=request.param)


@eager
@pytest.mark.jax
@pytest.mark.parametrize("kind", [{}, {"grey_window": True}, {"factorised": True}])
def test_training_lowers_the_loss(kind):
    model = build(**kind)
    model.compile(keras.optimizers.Adamax(5e-2), jit_compile=keras.backend.backend() == "jax")
    dark = IMAGES // 16
    history = model.fit(dark, epochs=12, verbose=0).history
    assert history["bits_per_dim"][-1] < history["bits_per_dim"][0] - 0.5
    np.testing.assert_allclose(
        history["bits_per_dim"], -np.array(history["elbo"]) / (192 * np.log(2)), rtol=1e-5
    )


@pytest.mark.jax
def test_images_are_scaled_inside(model):
    seen = []
    model_call = model.encoder.call
    model.encoder.call = lambda x, **kw: (seen.append(np.asarray(x)), model_call(x, **kw))[1]
    try:
        model.posterior(np.array([[[[0, 255, 51]] * 8] * 8], "uint8"))
    finally:
        model.encoder.call = model_call
    np.testing.assert_allclose(seen[0][0, 0, 0], [-1.0, 1.0, -0.6], atol=1e-6)


@eager
@pytest.mark.jax
def test_drawn_images_have_levels(model):
    images = model.sample(3, seed=0)
    assert images.shape == (3, *SHAPE) and len(np.unique(images)) > 30
    assert (images == np.round(images)).all() and 0 <= images.min() and images.max() <= 255
    np.testing.assert_array_equal(model.sample(2, seed=0), images[:2])
    completed = model.decode(
        model.encode(IMAGES), seed=0, known=IMAGES, mask=np.arange(8)[:, None, None] < 4
    )
    np.testing.assert_array_equal(completed[:, :4], IMAGES[:, :4])


@pytest.mark.jax
@pytest.mark.parametrize(
    "images",
    [IMAGES / 255.0, IMAGES.astype("float32") + 0.5, IMAGES.astype("int32") - 1000],
    ids=["scaled", "halves", "negative"],
)
def test_images_of_the_wrong_range(model, images):
    with pytest.raises(ValueError, match="whole numbers from 0 to 255.*Received: images of"):
        model.encode(images)


def test_a_network_with_other_outputs():
    with pytest.raises(ValueError, match="20 `output_channels`.*output_channels=3"):
        LogisticMixtureLikelihood(SHAPE, GatedPixelCNN(3), components=2)


@pytest.mark.parametrize("family", [LogisticMixtureLikelihood, FactorisedLogisticMixtureLikelihood])
@pytest.mark.parametrize("components", [0, -1, 2.5])
def test_an_impossible_number_of_components_is_refused(family, components):
    with pytest.raises(ValueError, match="`components` must be an integer, at least 1. Received: "):
        family(SHAPE, components=components)


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (3, 3)])
def test_a_grey_window_needs_colours_without_an_order(channels, groups):
    shape = (8, 8, channels)
    outputs = LogisticMixtureLikelihood.parameters_a_pixel(shape, components=2, groups=groups)
    network = GatedPixelCNN(outputs, filters=6, blocks=1, groups=groups)
    with pytest.raises(ValueError, match=f"`grey_window` must be False.* network.groups={groups}"):
        LogisticMixtureLikelihood(shape, network, components=2, grey_window=True)


@eager
def test_a_model_is_saved_whole(tmp_path):
    model = build(grey_window=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.likelihood_family.grey_window and loaded.likelihood_family.components == 2
    np.testing.assert_array_equal(loaded.sample(2, seed=1), model.sample(2, seed=1))


@eager
def test_served_answers_are_those_of_python(model, tmp_path):
    import tensorflow as tf

    # Pictures are read before a likelihood has a say: those of one of the two will do.
    factorised = isinstance(model.likelihood_family, FactorisedLogisticMixtureLikelihood)
    path = model.export(tmp_path / "served", importance_samples=3, png=factorised)
    signatures = tf.saved_model.load(path).signatures
    answer = signatures["encode"](image=tf.constant(IMAGES))
    np.testing.assert_allclose(answer["code"], model.encode(IMAGES), atol=1e-5)
    seeds = np.arange(6, dtype="int32")
    again = signatures["reconstruct"](image=tf.constant(IMAGES), seed=tf.constant(seeds))["image"]
    assert (again.numpy() == model.reconstruct(IMAGES, seed=seeds)).mean() > 0.99
    if factorised:
        pictures = tf.stack([tf.io.encode_png(image) for image in IMAGES])
        served = signatures["encode_png"](image_bytes=pictures)["code"]
        np.testing.assert_allclose(served, model.encode(IMAGES), atol=1e-5)
    bits = signatures["log_prob"](image=tf.constant(IMAGES), seed=tf.constant(seeds))
    assert np.isfinite(bits["bits_per_dim"]).all()


def test_recipe_of_colour_images(tmp_path):
    from vlae_tf.evaluation import evaluate_run
    from vlae_tf.runs import Recipe
    from vlae_tf.training import train

    np.savez(tmp_path / "images.npz", train=IMAGES, test=IMAGES)
    small = {"filters": [4], "blocks": 0, "units": 8}
    network = {
        "class_name": "GatedPixelCNN",
        "config": {"filters": 4, "blocks": 1, "first_kernel_size": [5, 4]},
    }
    recipe = Recipe(
        str(tmp_path / "images.npz"),
        {
            "latent_dim": 2,
            "encoder": {"class_name": "ResNetEncoder", "config": small},
            "decoder": {"class_name": "ResNetDecoder", "config": {"maps": 2, **small}},
            "likelihood_family": {
                "class_name": "LogisticMixtureLikelihood",
                "config": {"components": 3, "network": network},
            },
        },
        epochs=1,
        validation_split=None,
    )
    assert recipe.levels == 256
    model = train(recipe, tmp_path / "run", verbose=0)
    assert model.likelihood_family.network.output_channels == 3 * 10
    metrics = evaluate_run(tmp_path / "run", importance_samples=2)
    assert metrics["binarisation"] == "none"
    assert 0 < metrics["likelihood"][0]["bits_per_dim"] < 20
    with pytest.raises(ValueError, match="`binarise` must be None for a model of 256 levels"):
        Recipe(recipe.dataset, recipe.model, epochs=1, binarise="static")

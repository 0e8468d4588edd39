"""Data and arguments as users of Keras give them: taken as meant, or refused; never a number from
pixels that the model does not take."""

import keras
import numpy as np
import pytest
from keras import ops

import vlae_tf
from tests.tiny import random_images, tiny_model
from vlae_tf.likelihoods import LogisticMixtureLikelihood, PixelCNNLikelihood

pytestmark = pytest.mark.jax

IMAGES = random_images(8)
GREY = IMAGES * np.uint8(255)


def compiled(**options):
    model = tiny_model()
    model.compile(keras.optimizers.Adam(0.0), **options)
    return model


@pytest.fixture(scope="module")
def model():
    return compiled()


def dataset(*elements):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(elements if len(elements) > 1 else elements[0])


# === What is taken ===

LABELS = np.arange(8)
KINDS = {
    "list": lambda x: [x],
    "dict": lambda x: {"image": x},
    "dict with labels": lambda x: {"image": x, "label": LABELS},
    "pipeline": lambda x: dataset(x).batch(8),
    "pipeline of dicts": lambda x: dataset({"image": x, "label": LABELS}).batch(8),
    "pipeline with labels": lambda x: dataset(x, LABELS).batch(8),
    "pipeline of dicts with labels": lambda x: dataset({"image": x}, LABELS).batch(8),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_holds_the_same_images(model, kind):
    if keras.backend.backend() != "tensorflow" and kind.startswith("pipeline"):
        pytest.skip("tf.data feeds TensorFlow")
    data = KINDS[kind](IMAGES)
    np.testing.assert_allclose(
        model.predict(data, verbose=0)["code"], model.encode(IMAGES), atol=1e-6
    )
    history = model.fit(data, validation_data=KINDS[kind](IMAGES), verbose=0).history
    assert np.isfinite(list(history.values())).all()
    assert np.isfinite(model.evaluate(data, verbose=0)).all()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"picture": IMAGES}, "a dict with an 'image'. Received: a dict with the keys picture"),
        ([IMAGES, IMAGES], r"`np.stack` makes one of several\). Received: a list of 2"),
    ],
)
def test_other_kinds_are_refused(model, data, words):
    for method in (model.fit, model.evaluate, model.predict, model.train_on_batch):
        with pytest.raises(ValueError, match=f"`x` must be .*{words}"):
            method(data)


def test_channels_first_are_refused_with_the_way_round():
    colour = tiny_model((6, 6, 3), levels=256)
    with pytest.raises(ValueError, match="`np.moveaxis.images, 1, -1.` puts the channels last"):
        colour.encode(np.zeros((2, 3, 6, 6), "uint8"))


# === Pixels that the model does not take ===


def test_their_codes_are_nan_and_other_rows_are_not(model):
    mixed = np.concatenate([IMAGES[:2], GREY[:1]])
    code = ops.convert_to_numpy(model(mixed)["code"])
    np.testing.assert_array_equal(np.isnan(code).all(axis=1), [False, False, True])
    np.testing.assert_allclose(code[:2], model.encode(IMAGES[:2]), atol=1e-6)
    assert np.isnan(ops.convert_to_numpy(model.posterior(GREY).center())).all()


def test_their_codes_are_nan_from_a_pipeline():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("tf.data feeds TensorFlow")
    assert np.isnan(tiny_model().predict(dataset(GREY).batch(4), verbose=0)["code"]).all()


def test_every_figure_of_them_is_nan_with_one_warning(model, caplog):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("tf.data feeds TensorFlow")
    grey = dataset(GREY).batch(8)
    results = model.evaluate(grey, verbose=0, return_dict=True)
    assert np.isnan(list(results.values())).all()
    assert caplog.text.count("whole numbers from 0 to 1") == 1
    history = model.fit(IMAGES, validation_data=grey, verbose=0).history
    for name, (value,) in history.items():
        assert np.isnan(value) == name.startswith("val_"), name
    assert caplog.text.count("whole numbers from 0 to 1") == 2
    for method in (model.train_on_batch, model.test_on_batch):
        assert np.isnan(method(GREY)).all()


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="no batch of unknown size, and no export, on JAX"
)
def test_a_classifier_on_codes_learns_and_knows_them_too():
    model = tiny_model()
    model.trainable = False
    inputs = keras.Input(model.image_shape)
    outputs = keras.layers.Dense(3, activation="softmax")(model(inputs)["code"])
    classifier = keras.Model(inputs, outputs)
    classifier.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    losses = classifier.fit(IMAGES, LABELS % 3, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.isnan(classifier.predict(GREY, verbose=0)).all()


# === Levels ===


@pytest.mark.parametrize(
    ("shape", "levels", "family"),
    [
        ((4, 4, 1), None, PixelCNNLikelihood),
        ((4, 4, 3), None, LogisticMixtureLikelihood),
        ((4, 4, 1), 256, LogisticMixtureLikelihood),
        ((4, 4, 3), 2, PixelCNNLikelihood),
    ],
)
def test_channels_and_levels_choose_the_likelihood(shape, levels, family):
    model = vlae_tf.VLAE(shape, 2, levels=levels)
    assert type(model.likelihood_family) is family
    assert model.get_config()["levels"] == model.levels == family.levels


def test_levels_must_be_the_likelihoods():
    with pytest.raises(ValueError, match="`levels` must be the likelihood's, 2, or None"):
        vlae_tf.VLAE((6, 6, 1), 2, likelihood_family=PixelCNNLikelihood((6, 6, 1)), levels=256)
    with pytest.raises(ValueError, match="`levels` must be one of 2, 256"):
        vlae_tf.VLAE((6, 6, 1), 2, levels=16)


def test_greys_for_a_binary_model_are_refused_with_the_ways(model):
    with pytest.raises(ValueError, match="binarise grey images.*VLAE.levels=256"):
        model.fit(GREY)


# === Arguments ===


@pytest.mark.parametrize("monitor", ["val_elbo", "val_bits_per_dim", "elbo", "val_reconstruction"])
def test_callbacks_know_which_way_a_metric_gets_better(model, monitor):
    stop = keras.callbacks.EarlyStopping(monitor)
    model.fit(IMAGES, validation_data=IMAGES, callbacks=[stop], verbose=0)
    assert stop.mode == ("min" if "bits" in monitor else "max")


def test_a_callback_of_ones_own_mode_keeps_it(model):
    stop = keras.callbacks.EarlyStopping("val_elbo", mode="min")
    model.fit(IMAGES, validation_data=IMAGES, callbacks=stop, verbose=0)
    assert stop.mode == "min"


@pytest.mark.parametrize("argument", ["loss", "metrics", "weighted_metrics"])
def test_other_losses_and_metrics_are_refused(argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be None: the model's objective"):
        compiled(**{argument: ["mse"]})


@pytest.mark.parametrize("name", ["model.h5", "model.HDF5"])
def test_a_file_that_would_not_load_is_not_saved(model, tmp_path, name):
    with pytest.raises(ValueError, match="`filepath` must be a .keras file"):
        model.save(tmp_path / name)
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="no batch of unknown size, and no export, on JAX"
)
def test_an_export_in_another_format_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="`format` must be one of"):
        model.export(tmp_path / "model.pb", format="frozen")


def test_a_temperature_for_each_row(model):
    both = model.sample(2, seed=[1, 2], temperature=[0.5, 1.0])
    np.testing.assert_array_equal(both[:1], model.sample(1, seed=[1], temperature=0.5))
    np.testing.assert_array_equal(both[1:], model.sample(1, seed=[2]))


@pytest.mark.parametrize("method", ["encode", "predict", "evaluate", "fit", "__call__"])
def test_no_images_are_refused_at_every_door(model, method):
    with pytest.raises(ValueError, match="`images` must hold at least one image"):
        getattr(model, method)(np.zeros((0, 6, 6, 1), "float32"))

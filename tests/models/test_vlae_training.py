"""`fit`, `evaluate` and `predict`: every kind of data, resumption, options of Keras, bad input."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.tiny import eagerly, tiny_control
from vlae_tf.checks import check_data
from vlae_tf.datasets import ImageBatches
from vlae_tf.layers import KernelLayer
from vlae_tf.likelihoods import BernoulliLikelihood
from vlae_tf.objectives import ELBO, SoftFreeBitsELBO
from vlae_tf.posteriors import IAFPosterior

pytestmark = pytest.mark.slow

METRICS = ["loss", "elbo", "reconstruction", "kl", "bits_per_dim", "code_bits"]
TENSORFLOW = keras.backend.backend() == "tensorflow"
# The others train and evaluate in graphs, as a user does.
eager = pytest.mark.usefixtures("eager")


def compiled(model, learning_rate=0.02, **kwargs):
    jit_compile = kwargs.pop("jit_compile", not TENSORFLOW)
    optimizer = keras.optimizers.Adamax(learning_rate, **kwargs)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    return model


def rewind(model):
    """The seeds of evaluation as they were at the beginning, so that it can be repeated."""
    model.objective.seed_generator.state.assign([0, 0])


def weights_of(model):
    return [ops.convert_to_numpy(weight.value) for weight in model.weights]


@pytest.mark.jax
def test_training_reports_the_promised_metrics_and_learns(tiny_vlae, images):
    model = compiled(tiny_vlae())
    history = model.fit(
        images, batch_size=8, epochs=8, validation_data=(images[:5],), shuffle=False, verbose=0
    ).history
    assert [metric.name for metric in model.metrics] == METRICS
    assert set(history) == {*METRICS, *(f"val_{name}" for name in METRICS)}
    history = {name: np.array(values) for name, values in history.items()}
    for prefix in ("", "val_"):
        elbo, kl = history[f"{prefix}elbo"], history[f"{prefix}kl"]
        np.testing.assert_allclose(history[f"{prefix}loss"], -elbo, rtol=1e-5)
        np.testing.assert_allclose(history[f"{prefix}reconstruction"], elbo + kl, rtol=1e-5)
        np.testing.assert_allclose(history[f"{prefix}bits_per_dim"], -elbo / 36 / np.log(2), 1e-5)
        np.testing.assert_allclose(
            history[f"{prefix}code_bits"], kl / np.log(2), rtol=1e-5, atol=1e-6
        )
    # In nats: fair coins cost 25, and the columns come in equal pairs.
    assert history["loss"][-1] < history["loss"][0] - 1 and history["val_loss"][-1] < 24.5


def kinds_of_data(images):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(images)
    return {
        "float32": images.astype("float32"),
        "bool": images.astype(bool),
        "dataset": dataset.batch(8),
        "dataset of tuples": dataset.map(lambda image: (image,)).batch(8),
        "dataset with labels": dataset.map(lambda image: (image, 3)).batch(8),
        "dataset of floats": dataset.map(lambda image: tf.cast(image, tf.float32)).batch(8),
        "batches": ImageBatches(images, 8, shuffle=False),
    }


def test_every_kind_of_data_gives_the_same_evaluation(tiny_vlae, images):
    model = compiled(tiny_vlae())
    expected = model.evaluate(images, batch_size=8, return_dict=True, verbose=0)
    codes = model.predict(images, verbose=0)["code"]
    np.testing.assert_allclose(codes, model.encode(images), rtol=1e-4, atol=1e-5)
    for kind, data in kinds_of_data(images).items():
        rewind(model)
        options = {"batch_size": 8} if kind in ("float32", "bool") else {}
        found = model.evaluate(data, return_dict=True, verbose=0, **options)
        assert found == pytest.approx(expected, rel=1e-4), kind
        found = model.predict(data, verbose=0)["code"]
        np.testing.assert_allclose(found, codes, rtol=1e-4, atol=1e-5, err_msg=kind)


def test_training_on_batches_is_training_on_the_array(tiny_vlae, images):
    on_array = compiled(tiny_vlae())
    on_array.fit(images, batch_size=8, shuffle=False, verbose=0)
    for kind in ("dataset of tuples", "batches"):
        keras.utils.set_random_seed(0)
        on_batches, data = compiled(tiny_vlae()), kinds_of_data(images)[kind]
        on_batches.fit(data, shuffle=False, validation_data=data, verbose=0)
        for first, second in zip(weights_of(on_array), weights_of(on_batches), strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-5, err_msg=kind)


# === Resumption ===


@eager
@pytest.mark.parametrize(
    "objective",
    [
        ELBO(warmup_steps=5, free_bits=0.1),
        pytest.param(SoftFreeBitsELBO(free_bits=1.0, initial_weight=0.5), marks=pytest.mark.jax),
    ],
    ids=lambda objective: objective.name,
)
def test_a_resumed_run_ends_where_the_uninterrupted_one_does(
    tiny_vlae, images, tmp_path, objective
):
    def new_model():
        copy = type(objective).from_config(objective.get_config())
        return compiled(tiny_vlae(dropout=0.3, objective=copy), use_ema=True)

    def train(model, epochs, initial_epoch=0):
        model.fit(
            images, batch_size=8, shuffle=False, epochs=epochs, initial_epoch=initial_epoch,
            validation_data=(images[:4],), verbose=0,
        )  # fmt: skip

    model = new_model()
    train(model, 1)
    model.save_weights(tmp_path / "latest.weights.h5")
    train(model, 2, 1)

    resumed = new_model()
    resumed.load_weights(tmp_path / "latest.weights.h5")
    train(resumed, 2, 1)
    for first, second in zip(weights_of(model), weights_of(resumed), strict=True):
        np.testing.assert_array_equal(first, second)
    variables = zip(model.optimizer.variables, resumed.optimizer.variables, strict=True)
    for first, second in variables:
        np.testing.assert_array_equal(ops.convert_to_numpy(first), ops.convert_to_numpy(second))


# === Options of Keras ===


@eager
def test_averaged_weights_are_swapped_in_for_evaluation_and_at_the_end(tiny_vlae, images):
    model = compiled(tiny_vlae(), use_ema=True, ema_momentum=0.5)
    raw = []

    class KeepsRawWeights(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raw[:] = [ops.convert_to_numpy(v.value) for v in self.model.trainable_variables]

    model.fit(
        images, batch_size=8, verbose=0, validation_data=(images,),
        callbacks=[KeepsRawWeights(), keras.callbacks.SwapEMAWeights()],
    )  # fmt: skip
    average = model.optimizer._model_variables_moving_average
    kept = [ops.convert_to_numpy(v.value) for v in model.trainable_variables]
    for found, expected in zip(kept, average, strict=True):
        assert np.isfinite(found).all() and found.shape == expected.shape
    assert any((a != b).any() for a, b in zip(kept, raw, strict=True))


def test_xla_changes_no_more_than_the_noise(tiny_vlae, images):
    losses = []
    for jit_compile in (True, False):
        keras.utils.set_random_seed(0)
        model = compiled(tiny_vlae(dropout=0.2), learning_rate=0.01, jit_compile=jit_compile)
        with eagerly():
            before = -model.log_likelihood(images, importance_samples=64).mean()
        model.fit(images[:16], batch_size=8, epochs=2, shuffle=False, verbose=0)
        with eagerly():
            # By many samples of fixed noise, so that what differs is the training alone.
            losses.append(-model.log_likelihood(images, importance_samples=64).mean())
        assert losses[-1] < before - 1
    # XLA draws other numbers from the same seeds, so the two runs are alike, not equal.
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


@eager
@pytest.mark.jax
def test_bfloat16_trains_and_its_log_probabilities_are_float32(tiny_vlae, images):
    exact, rough = tiny_vlae(), tiny_vlae(dtype="mixed_bfloat16")
    rough.set_weights(weights_of(exact))
    terms = {}
    for name, model in (("exact", exact), ("rough", rough)):
        terms[name] = {
            "likelihood": model.likelihood(np.ones((20, 3), "float32")).log_prob(images),
            **model.objective(images, model=model),
        }
        for value in terms[name].values():
            assert keras.backend.standardize_dtype(value.dtype) == "float32"
    for name, expected in terms["exact"].items():
        found = ops.convert_to_numpy(terms["rough"][name])
        np.testing.assert_allclose(found, ops.convert_to_numpy(expected), rtol=0.02, atol=0.1)
        assert not np.array_equal(found, ops.convert_to_numpy(expected))
    loss = compiled(rough).fit(images, epochs=2, batch_size=8, verbose=0).history["loss"]
    assert np.isfinite(loss).all() and loss[1] < loss[0]
    assert all(keras.backend.standardize_dtype(w.dtype) != "bfloat16" for w in rough.weights)


# === Parts ===


@eager
@pytest.mark.jax
def test_control_without_a_code_trains_and_pays_nothing_for_it(images):
    model = compiled(tiny_control())
    loss = model.fit(images, epochs=4, batch_size=8, verbose=0).history["loss"]
    terms = model.evaluate(images, return_dict=True, verbose=0)
    assert loss[-1] < loss[0]
    assert terms["kl"] == terms["code_bits"] == 0
    assert terms["elbo"] == pytest.approx(terms["reconstruction"])


@eager
def test_flow_posterior_and_factorised_likelihood_train(tiny_vlae, images):
    posterior = IAFPosterior(3, steps=1, hidden_units=[8], context_size=4)
    likelihood = BernoulliLikelihood((6, 6, 1))
    model = compiled(tiny_vlae(posterior_family=posterior, likelihood_family=likelihood))
    loss = model.fit(images, epochs=4, batch_size=8, verbose=0).history["loss"]
    assert np.isfinite(loss).all() and loss[-1] < loss[0]


@eager
def test_controller_of_soft_free_bits_acts_in_training_alone(tiny_vlae, images):
    objective = SoftFreeBitsELBO(free_bits=1e6)
    model = compiled(tiny_vlae(objective=objective))
    model.fit(images, batch_size=8, epochs=2, verbose=0)
    assert float(objective.gamma) == pytest.approx(0.9**6, rel=1e-4)
    model.evaluate(images, verbose=0)
    assert float(objective.gamma) == pytest.approx(0.9**6, rel=1e-4)


def test_initialisation_from_data_normalises_every_layer_once(tiny_vlae, images):
    model = tiny_vlae(weight_norm=True, blocks=1)
    gains = [layer.gain for layer in model._flatten_layers() if hasattr(layer, "gain")]
    before = [ops.convert_to_numpy(gain.value) for gain in gains]
    assert len(gains) > 8
    model.initialize_from_data(images)
    after = [ops.convert_to_numpy(gain.value) for gain in gains]
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    assert not any(
        layer.initializing_from_data
        for layer in model._flatten_layers()
        if isinstance(layer, KernelLayer)
    )
    first = model.encoder._first
    outputs = ops.convert_to_numpy(first(2.0 * images.astype("float32") - 1))
    np.testing.assert_allclose(outputs.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(outputs.std((0, 1, 2)), first.init_scale, rtol=1e-3)


def test_initialisation_from_data_leaves_a_model_without_weight_normalisation_as_it_is(
    tiny_vlae, images
):
    model = tiny_vlae(likelihood_family=BernoulliLikelihood((6, 6, 1)))
    before = weights_of(model)
    model.initialize_from_data(images)
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


# === Bad input ===

BAD_ARRAYS = {
    "grey": (np.full((4, 6, 6, 1), 255, "uint8"), "`images` must be binary"),
    "intensities": (np.full((4, 6, 6, 1), 0.5, "float32"), "`images` must be binary"),
    "flat": (np.zeros((4, 36)), r"`images` must have shape \(batch, 6, 6, 1\)"),
    "larger": (np.zeros((4, 28, 28, 1)), r"`images` must have shape \(batch, 6, 6, 1\)"),
    "none": (np.zeros((0, 6, 6, 1)), "`images` must hold at least one image"),
}


@pytest.mark.jax
@pytest.mark.parametrize("data, message", BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_bad_arrays_are_refused(model, images, data, message):
    compiled(model)
    for call in (
        lambda: model.fit(data, verbose=0),
        lambda: model.fit(images, validation_data=(data,), verbose=0),
        lambda: model.fit(images, validation_data=data, verbose=0),
        lambda: model.evaluate(data, verbose=0),
        lambda: model.predict(data, verbose=0),
    ):
        with pytest.raises(ValueError, match=f"{message}.*Received: images"):
            call()


def test_batches_are_looked_at_before_training(model):
    compiled(model)
    with pytest.raises(ValueError, match="`images` must be binary"):
        model.fit(ImageBatches(BAD_ARRAYS["grey"][0], 2), shuffle=False, verbose=0)


def test_datasets_of_another_shape_are_refused_and_not_read(model):
    import tensorflow as tf

    def never():
        raise AssertionError("was read")
        yield

    compiled(model)
    for shape in [(None, 28, 28, 1), (6, 6, 1)]:
        data = tf.data.Dataset.from_generator(
            never, output_signature=tf.TensorSpec(shape, tf.uint8)
        )
        with pytest.raises(ValueError, match=r"`images` must have shape \(batch, 6, 6, 1\)"):
            model.fit(data, verbose=0)
    unknown = tf.data.Dataset.from_generator(never, output_signature=tf.TensorSpec(None, tf.uint8))
    check_data(unknown, (6, 6, 1))


@pytest.fixture(scope="module")
def compiled_once(tiny_vlae):
    """A model, and the weights and variables of its optimiser before any step."""
    model = compiled(tiny_vlae())
    variables = model.weights + model.optimizer.variables
    return model, [(variable, ops.convert_to_numpy(variable)) for variable in variables]


@pytest.mark.jax
@pytest.mark.parametrize("pixel", [255, 0.5, -1, np.nan, np.inf])
def test_other_pixels_from_a_generator_make_the_loss_nan_and_not_the_weights(
    compiled_once, images, caplog, pixel
):
    def batches():
        while True:
            yield (np.full((4, 6, 6, 1), pixel, "float32"),)

    model, first = compiled_once
    for variable, value in first:
        variable.assign(value)
    before = [ops.convert_to_numpy(v.value) for v in model.trainable_variables]
    history = model.fit(batches(), steps_per_epoch=1, shuffle=False, verbose=0).history
    # None of them is a plausible number.
    assert np.isnan(list(history.values())).all()
    assert (
        "loss, reconstruction: NaN" in caplog.text and "whole numbers from 0 to 1;" in caplog.text
    )
    for old, variable in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(variable.value))
    # Later on the momentum of the optimiser still moves them.
    model.fit(images, epochs=1, verbose=0)
    history = model.fit(batches(), steps_per_epoch=2, shuffle=False, verbose=0).history
    assert np.isnan(history["loss"][0])
    for variable in model.trainable_variables:
        assert np.isfinite(ops.convert_to_numpy(variable.value)).all(), variable.path
    # The next good images are learned from as if nothing had been.
    assert np.isfinite(model.fit(images, epochs=1, verbose=0).history["loss"]).all()


@eager
@pytest.mark.jax
def test_what_regularisers_of_own_parts_add_is_minimised_too(tiny_vlae, images):
    def encoder(factor):
        keras.utils.set_random_seed(0)
        regularizer = keras.regularizers.L2(factor)
        return keras.Sequential(
            [keras.layers.Flatten(), keras.layers.Dense(4, kernel_regularizer=regularizer)]
        )

    losses = {}
    for factor in (0.0, 10.0):
        model = compiled(tiny_vlae(encoder=encoder(factor)))
        (added,) = map(float, model.losses)
        losses[factor] = model.evaluate(images, return_dict=True, verbose=0)
        assert losses[factor]["loss"] == pytest.approx(-losses[factor]["elbo"] + added, rel=1e-5)
    assert added > 1.0


def test_weights_of_single_images_are_refused(tiny_vlae, images):
    model = compiled(tiny_vlae())
    one = np.ones(20)
    for given in ({"y": images, "sample_weight": one}, {"sample_weight": one}):
        for method in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
            with pytest.raises(ValueError, match="`sample_weight` must be None"):
                method(images, **given)
    with pytest.raises(ValueError, match="`sample_weight` must be None"):
        model.fit(images, validation_data=(images, images, one), verbose=0)
    with pytest.raises(ValueError, match="`class_weight` must be None"):
        model.fit(images, class_weight={0: 1.0})


@pytest.mark.skipif(not TENSORFLOW, reason="counts traces of a tf.function")
def test_the_first_batch_traces_the_step_once():
    # A second graph, the one that makes the optimiser's variables, would stay in memory.
    model = tiny_control()
    model.compile("adam")
    traces, train_step = [], model.train_step

    def counted(data):
        traces.append(1)
        return train_step(data)

    model.train_step = counted
    for _ in range(2):
        model.train_on_batch(np.zeros((2, *model.image_shape), "uint8"))
    assert len(traces) == 1

"""Averaged weights: how they come about, and when a model has them."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from vlae_tf.training import AveragedEvaluation, averaged

pytestmark = pytest.mark.jax

rng = np.random.default_rng(0)
x, y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")

AveragedAdamax = averaged(keras.optimizers.Adamax)
OPTIMIZERS = [keras.optimizers.Adamax, keras.optimizers.Adam]


class Trace(keras.callbacks.Callback):
    """The weights after each step."""

    def on_train_begin(self, logs=None):
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        self.weights.append(np.array(ops.convert_to_numpy(self.model.trainable_variables[0])))


def linear(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer, loss="mse")
    return model


def fit(model, *callbacks, **kwargs):
    trace = Trace()
    history = model.fit(
        *(x, y),
        batch_size=8,
        epochs=5,
        verbose=0,
        shuffle=False,
        callbacks=[*callbacks, trace],
        **kwargs,
    )
    return np.array(trace.weights), history.history


def final(model):
    return np.array(ops.convert_to_numpy(model.trainable_variables[0]))


@pytest.mark.parametrize(
    ("optimizer", "momentum", "every"),
    [
        (keras.optimizers.Adamax, 0.5, None),
        (keras.optimizers.Adamax, 0.9995, None),
        (keras.optimizers.Adamax, 0.9995, 2),
        (keras.optimizers.Adam, 0.9995, None),
        (keras.optimizers.Adam, 0.5, 3),
    ],
)
def test_average_follows_its_equation(optimizer, momentum, every):
    """Of the updates: a batch in between, with gradients alone, changes neither."""
    kind = averaged(optimizer)
    model = linear(kind(0.05, ema_momentum=momentum, gradient_accumulation_steps=every))
    weights, _ = fit(model)
    updates = weights[(every or 1) - 1 :: every or 1]
    if every:
        np.testing.assert_array_equal(weights[every - 1], weights[2 * every - 2])
    expected = 0.0
    for step, weight in enumerate(updates):
        m = min(momentum, step / (step + 9))
        expected = m * expected + (1 - m) * weight
    np.testing.assert_allclose(final(model), expected, rtol=1e-5)


def test_average_of_a_short_run_is_of_its_end_not_its_start():
    model = linear(AveragedAdamax(0.05, ema_momentum=0.9999))
    weights, _ = fit(model)
    assert abs(final(model) - weights[-1]).max() < 0.5 * abs(weights[0] - weights[-1]).max()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_averaging_does_not_touch_training(optimizer):
    weights, _ = fit(linear(averaged(optimizer)(0.05)))
    others, _ = fit(linear(optimizer(0.05)))
    np.testing.assert_array_equal(weights, others)


def every_optimizer():
    """Those of Keras that average at all."""
    kinds = [kind for kind in vars(keras.optimizers).values() if isinstance(kind, type)]
    return [kind for kind in kinds if "use_ema" in inspect.signature(kind).parameters]


def test_every_optimizer_of_keras_is_restored_from_its_config():
    assert len(every_optimizer()) > 10
    for kind in every_optimizer():
        optimizer = averaged(kind)(0.05, ema_momentum=0.7, global_clipnorm=2.0)
        config = keras.saving.serialize_keras_object(optimizer)
        again = keras.saving.deserialize_keras_object(config)
        assert type(again) is averaged(kind) and isinstance(again, kind)
        assert again.get_config() == optimizer.get_config()


def test_optimizer_of_ones_own_is_restored():
    @keras.saving.register_keras_serializable(package="tests")
    class Halved(keras.optimizers.SGD):
        def __init__(self, learning_rate=0.1, **kwargs):
            super().__init__(learning_rate / 2, **kwargs)

        def get_config(self):
            config = super().get_config()
            return config | {"learning_rate": 2 * config["learning_rate"]}

    config = keras.saving.serialize_keras_object(averaged(Halved)(0.5))
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, Halved) and float(again.learning_rate) == 0.25 and again.use_ema


def test_training_continues_bit_for_bit_after_validation():
    weights, _ = fit(linear(AveragedAdamax(0.05)), AveragedEvaluation(), validation_data=(x, y))
    others, _ = fit(linear(AveragedAdamax(0.05)))
    np.testing.assert_array_equal(weights, others)


def test_validation_and_the_final_model_are_of_the_average():
    model = linear(AveragedAdamax(0.05, ema_momentum=0.8))
    weights, history = fit(model, AveragedEvaluation(), validation_data=(x, y))
    # After training, Keras has put the average in place for good.
    assert model.evaluate(x, y, verbose=0) == pytest.approx(history["val_loss"][-1], rel=1e-5)
    raw = linear("sgd")
    raw.set_weights(model.get_weights())
    raw.trainable_variables[0].assign(weights[-1])
    assert raw.evaluate(x, y, verbose=0) != pytest.approx(history["val_loss"][-1], rel=1e-4)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_model_can_be_used_and_saved_after_training(tmp_path, optimizer):
    model = linear(averaged(optimizer)(0.05))
    fit(model, AveragedEvaluation(), validation_data=(x, y))
    model.evaluate(x, y, verbose=0)  # on JAX, this frees the arrays of the state before
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is averaged(optimizer)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    for variable, other in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), ops.convert_to_numpy(other))


def test_prediction_uses_the_averages_and_leaves_the_weights():
    model = linear(AveragedAdamax(0.05, ema_momentum=0.9))
    raw, averaged_output = [], []

    class Predict(keras.callbacks.Callback):
        """In the midst of training, when averages and weights differ."""

        def on_epoch_end(self, epoch, logs=None):
            if hasattr(self.model, "jax_state_sync"):
                self.model.jax_state_sync()
            before = final(self.model)
            averages = np.array(
                ops.convert_to_numpy(self.model.optimizer._model_variables_moving_average[0])
            )
            bias = np.array(
                ops.convert_to_numpy(self.model.optimizer._model_variables_moving_average[1])
            )
            for _ in range(2):  # the second one as the first
                found = self.model.predict(x, verbose=0, callbacks=[AveragedEvaluation()])
                averaged_output.append((found, x @ averages + bias))
                np.testing.assert_array_equal(final(self.model), before)
            raw.append((before, averages))

    if keras.backend.backend() == "jax":
        pytest.skip("JAX lends the weights to fit while it runs")
    fit(model, Predict())
    assert any((before != averages).any() for before, averages in raw)
    for found, expected in averaged_output:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)

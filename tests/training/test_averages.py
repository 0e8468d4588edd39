"""Averaged weights: how they come about, and when a model has them."""

import keras
import numpy as np
import pytest
from keras import ops

from vlae_tf.training import AveragedAdamax, AveragedEvaluation

pytestmark = pytest.mark.jax

rng = np.random.default_rng(0)
x, y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")


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


@pytest.mark.parametrize("momentum", [0.5, 0.9995])
def test_average_follows_its_equation(momentum):
    model = linear(AveragedAdamax(0.05, ema_momentum=momentum))
    weights, _ = fit(model)
    expected = 0.0
    for step, weight in enumerate(weights):
        m = min(momentum, step / (step + 9))
        expected = m * expected + (1 - m) * weight
    np.testing.assert_allclose(final(model), expected, rtol=1e-5)


def test_average_of_a_short_run_is_of_its_end_not_its_start():
    model = linear(AveragedAdamax(0.05, ema_momentum=0.9999))
    weights, _ = fit(model)
    assert abs(final(model) - weights[-1]).max() < 0.5 * abs(weights[0] - weights[-1]).max()


def test_averaging_does_not_touch_training():
    weights, _ = fit(linear(AveragedAdamax(0.05)))
    others, _ = fit(linear(keras.optimizers.Adamax(0.05)))
    np.testing.assert_array_equal(weights, others)


def test_optimizer_is_restored_from_its_config():
    optimizer = AveragedAdamax(0.05, ema_momentum=0.7, global_clipnorm=2.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert isinstance(again, AveragedAdamax)
    assert again.get_config() == optimizer.get_config()


def test_training_goes_on_bit_for_bit_after_validation():
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


def test_model_can_be_used_and_saved_after_training(tmp_path):
    model = linear(AveragedAdamax(0.05))
    fit(model, AveragedEvaluation(), validation_data=(x, y))
    model.evaluate(x, y, verbose=0)  # on JAX, this frees the arrays of the state before
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    for variable, other in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), ops.convert_to_numpy(other))

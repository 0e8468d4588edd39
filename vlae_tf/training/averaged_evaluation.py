import contextlib

import keras
import numpy as np
from keras import ops


class AveragedEvaluation(keras.callbacks.Callback):
    """Validates and predicts with the optimiser's averaged weights; trains on from its own weights.

    `keras.callbacks.SwapEMAWeights` does the same, but exchanges the two on TensorFlow by adding
    and subtracting, so that each validation would leave its rounding in the weights. Here they
    stay the same, bit for bit, after `predict` too.

    Example:
        >>> import keras, numpy as np
        >>> from vlae_tf.training import AveragedEvaluation
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.Adamax(use_ema=True), loss="mse")
        >>> data = np.ones((4, 1)), np.ones((4, 1))
        >>> history = model.fit(
        ...     *data, validation_data=data, callbacks=[AveragedEvaluation()], verbose=0
        ... )
        >>> sorted(history.history)
        ['loss', 'val_loss']
    """

    def on_test_begin(self, logs=None):
        self._swapped = averaged_weights(self.model)
        self._swapped.__enter__()

    def on_test_end(self, logs=None):
        self._swapped.__exit__(None, None, None)

    on_predict_begin, on_predict_end = on_test_begin, on_test_end

    def on_train_end(self, logs=None):
        # By now Keras has given the model the averages for good.
        _assign(self.model, _copies(self.model))


@contextlib.contextmanager
def averaged_weights(model):
    """Within it, `model` has the averaged weights of its optimiser."""
    raw = _copies(model)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    _assign(model, _copies(model))
    try:
        yield
    finally:
        _assign(model, raw)


def _copies(model):
    # On JAX, an assigned variable is the same array as its source, and the next step may free it.
    return [np.array(ops.convert_to_numpy(variable)) for variable in model.trainable_variables]


def _assign(model, values):
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)

import logging

import keras
import numpy as np
from keras import ops

from vlae_tf.backend import compiled, unshare
from vlae_tf.checks import check_data, check_images
from vlae_tf.models.progress import Progress, TrainingProgress

log = logging.getLogger(__name__)


class ImageModel(keras.Model):
    """A Keras model whose only data are images of known shape and levels: Keras' side of a `VAE`.

    It checks the data that it is given, keeps the states of its random layers in its weights files,
    and compiles each of its functions once. A subclass sets `image_shape` and has `levels`.

    Raises (in `fit`, `evaluate` and `predict`):
        ValueError: for images of another shape or with invalid pixels, as far as they can be
            checked (see `vlae_tf.checks.check_data`).

    Example:
        >>> import vlae_tf
        >>> from vlae_tf.models import ImageModel
        >>> issubclass(vlae_tf.VAE, ImageModel)
        True
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._compiled_functions = {}

    # === Data ===

    def check_images(self, images):
        """`images` as a float32 array, or a `ValueError` that says what is wrong with them."""
        check_images(images, self.image_shape, self.levels)
        return np.asarray(images, "float32")

    def valid_pixels(self, images):
        """For each pixel, whether it is a whole number from 0 to levels - 1."""
        pixels = ops.cast(images, self.variable_dtype)
        inside = ops.logical_and(pixels >= 0, pixels <= self.levels - 1)
        return ops.logical_and(inside, ops.equal(pixels, ops.floor(pixels)))

    def fit(self, x=None, *args, **kwargs):
        validation = kwargs.get("validation_data")
        for data in (x, validation[0] if isinstance(validation, tuple) else validation):
            check_data(data, self.image_shape, self.levels)
        if self.compiled:
            # TensorFlow would trace the step twice, the first time to make these variables.
            self.optimizer.build(self.trainable_variables)
            unshare(self.optimizer.variables)
        history = super().fit(x, *args, **_with_progress(kwargs, args))
        if np.isnan(history.history.get("loss", [])).any():
            log.warning(
                "The loss is NaN: training diverged, or images had pixels other than whole numbers "
                "from 0 to %d; scaling happens inside.",
                self.levels - 1,
            )
        return history

    def evaluate(self, x=None, *args, **kwargs):
        check_data(x, self.image_shape, self.levels)
        return super().evaluate(x, *args, **_with_progress(kwargs, args))

    def predict(self, x, *args, **kwargs):
        check_data(x, self.image_shape, self.levels)
        return super().predict(x, *args, **kwargs)

    # === Weights files ===

    def save_own_variables(self, store):
        # Keras does not save seed generators; without them a resumed run would draw other noise.
        for index, state in enumerate(self._seed_states()):
            store[f"seed_state_{index}"] = state

    def load_own_variables(self, store):
        states = self._seed_states()
        # If other layers have dropout, the noise differs in any case.
        if len(store.keys()) == len(states):
            for index, state in enumerate(states):
                state.assign(np.asarray(store[f"seed_state_{index}"]))

    def _seed_states(self):
        saved = {id(weight) for weight in self.weights}
        return [v for v in self.non_trainable_variables if id(v) not in saved]

    # === Compiled functions ===

    def compiled_function(self, name, function):
        """`function` on tensors, compiled at the first call with this name."""
        if name not in self._compiled_functions:
            self._compiled_functions[name] = compiled(self, function)
        return self._compiled_functions[name]

    def run_rows(self, name, function, *rows, batch_size=128, verbose=0):
        """A compiled function over batches of rows; NumPy arrays in, one NumPy array out.

        With `verbose=1` a line on the terminal tells how many rows are done.
        """
        run, count = self.compiled_function(name, function), len(rows[0])
        progress, batches = Progress(name, count, verbose), []
        for start in range(0, count, batch_size):
            batch = run(*(row[start : start + batch_size] for row in rows))
            batches.append(ops.convert_to_numpy(batch))
            progress(min(start + batch_size, count))
        progress.clear()
        return np.concatenate(batches)


def _with_progress(kwargs, args):
    """Arguments for `fit` or `evaluate`, with progress on one line in the place of Keras' bar.

    Where `callbacks` is given by its place, or is a `CallbackList`, it is left alone.
    """
    callbacks = kwargs.get("callbacks") or []
    if len(args) > 3 or isinstance(callbacks, keras.callbacks.CallbackList):
        return kwargs
    callbacks = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    if not any(isinstance(c, keras.callbacks.ProgbarLogger) for c in callbacks):
        callbacks.append(TrainingProgress())
    return kwargs | {"callbacks": callbacks}

import inspect
import logging

import keras
import numpy as np
from keras import ops

from vlae_tf.backend import compiled, compiled_rows, replicas, step_figures, unshare
from vlae_tf.checks import check_data, check_images, check_single, only_images, refuse
from vlae_tf.models.progress import Progress, TrainingProgress
from vlae_tf.models.prompt_data import prompt_arguments

log = logging.getLogger(__name__)

# Which way a metric gets better, for callbacks.
_BETTER = {"elbo": "max", "bound": "max", "reconstruction": "max", "bits_per_dim": "min"}


def refuse_weights(name, value):
    """Raises the `ValueError` for weights of samples or classes."""
    refuse(name, "None: every image counts the same", value)


class ImageModel(keras.Model):
    """A Keras model whose only data are images of known shape and levels: Keras' side of a `VAE`.

    It takes images alone, as an array, `[array]`, `{"image": array}`, or a `tf.data.Dataset` of any
    of them; labels beside them are left out. It checks the data that it is given, keeps the states
    of its random layers in its weights files, and compiles each of its functions once. A subclass
    sets `image_shape` and has `levels`.

    Raises (in `fit`, `evaluate` and `predict`):
        ValueError: for images of another shape or with invalid pixels, as far as they can be
            checked (see `vlae_tf.checks.check_data`); for weights of samples or classes.

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

    def compile(self, optimizer="rmsprop", loss=None, *args, **kwargs):
        check_single(self, "trained, or evaluated by Keras")
        given = {"loss": loss, "metrics": None, "weighted_metrics": None} | kwargs
        for name in ("loss", "metrics", "weighted_metrics"):
            if given[name] is not None:
                expected = "None: the model's objective gives the loss and the metrics"
                refuse(name, expected, given[name])
        super().compile(optimizer, None, *args, **kwargs)

    def compile_from_config(self, config):
        # Keras leaves this out where `compile` is not its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, *args, **kwargs):
        arguments = self._arguments("fit", self._images(x), args, kwargs)
        # A pipeline's order is its own. Keras says so of its default, to whoever did not ask.
        arguments.setdefault("shuffle", not hasattr(arguments["x"], "element_spec"))
        validation = arguments.get("validation_data")
        if isinstance(validation, tuple):
            if len(validation) == 3 and validation[2] is not None:
                refuse_weights("sample_weight", validation[2])
            arguments["validation_data"] = (self._images(validation[0]), *validation[1:])
        elif validation is not None:
            arguments["validation_data"] = self._images(validation)
        self._direct(arguments.get("callbacks"))
        if self.compiled:
            self._build_optimizer()
            unshare(self.optimizer.variables)
        history = super().fit(**_with_progress(prompt_arguments(self, arguments)))
        self._warn_of_nan(history.history)
        return history

    def evaluate(self, x=None, *args, **kwargs):
        # `fit` evaluates too, on data that were checked, and warns itself.
        if "_use_cached_eval_dataset" in kwargs:
            return super().evaluate(x, *args, **kwargs)
        arguments = self._arguments("evaluate", self._images(x), args, kwargs)
        results = super().evaluate(**_with_progress(prompt_arguments(self, arguments)))
        self._warn_of_nan(results if isinstance(results, dict) else {"metrics": results})
        return results

    def predict(self, x, *args, **kwargs):
        arguments = self._arguments("predict", self._images(x), args, kwargs)
        return super().predict(**prompt_arguments(self, arguments))

    def train_on_batch(self, x, *args, **kwargs):
        if self.compiled:
            self._build_optimizer()
        return super().train_on_batch(**self._arguments("train_on_batch", x, args, kwargs))

    def test_on_batch(self, x, *args, **kwargs):
        return super().test_on_batch(**self._arguments("test_on_batch", x, args, kwargs))

    def _images(self, x):
        """The images of data of any kind, checked as far as they can be."""
        images = only_images(x)
        check_data(images, self.image_shape, self.levels)
        return images

    def _arguments(self, method, x, args, kwargs):
        """The arguments of a method of Keras by name, with images for `x`.

        Without `y`, Keras leaves weights out in silence.
        """
        signature = inspect.signature(getattr(keras.Model, method))
        arguments = signature.bind(self, x, *args, **kwargs).arguments
        arguments = {k: v for k, v in arguments.items() if k not in ("self", "kwargs")}
        for name in ("sample_weight", "class_weight"):
            if arguments.get(name) is not None:
                refuse_weights(name, arguments[name])
        return arguments | {"x": only_images(x)}

    def _direct(self, callbacks):
        """Tells callbacks whether what they watch should rise or fall: Keras knows it of the loss
        alone."""
        for callback in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
            watched = str(getattr(callback, "monitor", "")).removeprefix("val_")
            if getattr(callback, "mode", None) == "auto" and watched in _BETTER:
                callback.mode = _BETTER[watched]

    def _warn_of_nan(self, results):
        if bad := [name for name, values in results.items() if np.isnan(values).any()]:
            log.warning(
                "%s: NaN. Training diverged, or images had pixels other than whole numbers from 0 "
                "to %d; scaling happens inside.",
                ", ".join(bad),
                self.levels - 1,
            )

    def _build_optimizer(self):
        # TensorFlow would trace the step twice, the first time to make the optimiser's variables,
        # and keep both graphs.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def train_step(self, *arguments):
        return step_figures(super().train_step(*arguments))

    def test_step(self, *arguments):
        return step_figures(super().test_step(*arguments))

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Nothing: the model is built. On several devices Keras would take a first batch from the
        data for it, and average the images of all devices, of which each may have another number.
        """

    # === Files ===

    def save(self, filepath, *args, **kwargs):
        if str(filepath).lower().endswith((".h5", ".hdf5")):
            expected = "a .keras file; `save_weights` writes weights alone, to a .weights.h5"
            refuse("filepath", expected, str(filepath))
        return super().save(filepath, *args, **kwargs)

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

    def compiled_function(self, name, function, rows=False, any_rows=False):
        """`function` on tensors, compiled at the first call with this name.

        With `rows`, all tensors have the same first dimension, and several devices share the rows;
        with `any_rows`, of whatever number.
        """
        if name not in self._compiled_functions:
            self._compiled_functions[name] = (
                compiled_rows(self, function, any_rows)
                if rows or any_rows
                else compiled(self, function)
            )
        return self._compiled_functions[name]

    def run_rows(self, name, function, *rows, batch_size=128, verbose=0):
        """A compiled function over batches of rows; NumPy arrays in, one NumPy array out.

        With `verbose=1` a line on the terminal tells how many rows are done.
        """
        run, count = self.compiled_function(name, function, any_rows=True), len(rows[0])
        batch_size *= replicas(self)
        progress, batches = Progress(name, count, verbose), []
        for start in range(0, count, batch_size):
            batch = run(*(row[start : start + batch_size] for row in rows))
            batches.append(ops.convert_to_numpy(batch))
            progress(min(start + batch_size, count))
        progress.clear()
        return np.concatenate(batches)


def _with_progress(arguments):
    """Arguments for `fit` or `evaluate`, with progress on one line in the place of Keras' bar.

    A `CallbackList` is left alone.
    """
    callbacks = arguments.get("callbacks") or []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return arguments
    callbacks = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    if not any(isinstance(c, keras.callbacks.ProgbarLogger) for c in callbacks):
        callbacks.append(TrainingProgress())
    return arguments | {"callbacks": callbacks}

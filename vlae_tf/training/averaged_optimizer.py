"""Optimisers of Keras with averages of the weights that soon forget where they started."""

import functools

import keras
from keras import ops

from vlae_tf.backend import summed
from vlae_tf.runs.parts import find_class


@keras.saving.register_keras_serializable("vlae_tf")
class AveragedOptimizer:
    """What the classes that `averaged` makes have in common."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{"use_ema": True, **kwargs})

    # Keras has no public places for these; tests notice if they are no longer called.

    def _backend_apply_gradients(self, grads, trainable_variables):
        # Keras would clip the gradient of each replica before it sums them.
        super()._backend_apply_gradients(summed(grads), trainable_variables)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars

    def _update_model_variables_moving_average(self, trainable_variables):
        update = ops.cast(self.iterations, "float32")
        weight = 1.0 - ops.minimum(self.ema_momentum, update / (update + 9.0))
        if every := self.gradient_accumulation_steps:
            weight = ops.where((self._iterations + 1) % every == 0, weight, 0.0)
        averages = self._model_variables_moving_average
        for variable, average in zip(trainable_variables, averages, strict=True):
            if average is not None:
                change = variable - average
                average.assign(average + ops.cast(weight, variable.dtype) * change)

    def get_config(self):
        name = keras.saving.get_registered_name(self.averaged_class)
        return {**super().get_config(), "optimizer": name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        kind = averaged(find_class(config.pop("optimizer")))
        return super(AveragedOptimizer, kind).from_config(config)


@functools.cache
def averaged(optimizer):
    """The class of an optimiser, with averaged weights that soon forget where they started.

        m_t = min(ema_momentum, t / (t + 9))
        average = m_t * average + (1 - m_t) * weights        (update t = 0, 1, ...)

    With Keras' constant momentum, 0.9995 say, the average of a run of a few hundred steps is little
    else than the initial weights. Here it is that of the last tenth of the updates, until
    `ema_momentum` takes over. With `gradient_accumulation_steps` the updates are counted, where
    Keras averages at every batch in between as well.

    Args:
        optimizer: class of an optimiser, of Keras or registered with it.

    Returns:
        A subclass of it, with `use_ema` True by default. A compiled model with such an optimiser
        can be saved and loaded.

    Example:
        >>> import keras
        >>> from vlae_tf.training import averaged
        >>> averaged(keras.optimizers.Adam)(1e-3, ema_momentum=0.998).use_ema
        True

    Reference:
        Kingma & Ba, "Adam", 2015, section 7.2; Chen et al., "Variational Lossy Autoencoder", ICLR
        2017, appendix A (Adamax with Polyak averaging).
    """
    attributes = {"__module__": __name__, "averaged_class": optimizer}
    cls = type(f"Averaged{optimizer.__name__}", (AveragedOptimizer, optimizer), attributes)
    # All by one name, whose `from_config` makes the right class: a saved model needs no other.
    return keras.saving.register_keras_serializable("vlae_tf", "AveragedOptimizer")(cls)

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="vlae_tf")
class AveragedAdamax(keras.optimizers.Adamax):
    """Adamax with averaged weights that soon forget where they started.

        m_t = min(ema_momentum, t / (t + 9))
        average = m_t * average + (1 - m_t) * weights        (step t = 0, 1, ...)

    With Keras' constant momentum, 0.9995 say, the average of a run of a few hundred steps is little
    else than the initial weights. Here it is that of the last tenth of the steps, until
    `ema_momentum` takes over.

    Args:
        learning_rate, **kwargs: those of `keras.optimizers.Adamax`; `use_ema` is True.

    Example:
        >>> from vlae_tf.training import AveragedAdamax
        >>> AveragedAdamax(2e-3, ema_momentum=0.998).use_ema
        True

    Reference:
        Kingma & Ba, "Adam", 2015, algorithm 2 and section 7.2; Chen et al., "Variational Lossy
        Autoencoder", ICLR 2017, appendix A (Adamax with Polyak averaging).
    """

    def __init__(self, learning_rate=2e-3, **kwargs):
        super().__init__(learning_rate, **{"use_ema": True, **kwargs})

    # Keras has no public place for this; a test notices if it is no longer called.
    def _update_model_variables_moving_average(self, trainable_variables):
        step = ops.cast(self.iterations, "float32")
        momentum = ops.minimum(self.ema_momentum, step / (step + 9.0))
        for variable, average in zip(
            trainable_variables, self._model_variables_moving_average, strict=True
        ):
            weight = ops.cast(1.0 - momentum, variable.dtype)
            average.assign(average + weight * (variable - average))

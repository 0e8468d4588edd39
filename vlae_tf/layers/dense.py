import keras
from keras import ops

from vlae_tf.checks import check_integer
from vlae_tf.layers.kernel_layer import KernelLayer


@keras.saving.register_keras_serializable(package="vlae_tf")
class Dense(KernelLayer):
    """A fully connected layer `y = x W + b` with optional weight normalisation.

    Args:
        units: number of outputs.
        **kwargs: arguments of `KernelLayer`.

    Input shape: `(batch, ..., features)`; output shape: `(batch, ..., units)`.

    Raises:
        ValueError: for `units` that are not a positive integer.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import Dense
        >>> tuple(Dense(3, weight_norm=True)(keras.ops.ones((2, 5))).shape)
        (2, 3)

    Reference:
        Salimans & Kingma, "Weight Normalization", 2016, equation 2.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = check_integer(units, "units", least=1)

    def kernel_shape(self, input_shape):
        return (input_shape[-1], self.units)

    def apply_kernel(self, inputs, kernel):
        return ops.matmul(inputs, kernel)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

import keras
import numpy as np

from vlae_tf.layers.dense import Dense


@keras.saving.register_keras_serializable(package="vlae_tf")
class MaskedDense(Dense):
    """A fully connected layer `y = x (M * W) + b` with a constant mask M.

    Args:
        units: number of outputs.
        mask: array of 0 and 1, `(features, units)`: which input may reach which output.
        **kwargs: arguments of `KernelLayer`.

    Input shape: `(batch, features)`; output shape: `(batch, units)`.

    Raises:
        ValueError: if the mask does not fit the kernel.

    Example:
        >>> import keras, numpy as np
        >>> from vlae_tf.layers import MaskedDense
        >>> layer = MaskedDense(2, mask=[[1, 0]], kernel_initializer="ones")
        >>> print(keras.ops.convert_to_numpy(layer(keras.ops.ones((1, 1)))))
        [[1. 0.]]

    Reference:
        Germain et al., "MADE", 2015, equation 8.
    """

    def __init__(self, units, mask, **kwargs):
        super().__init__(units, **kwargs)
        # An array: of a list Keras would track every number, which takes seconds for a large one.
        self.mask = np.asarray(mask, "int8")

    def kernel_mask(self, shape):
        mask = np.asarray(self.mask, "float32")
        if mask.shape != shape:
            raise ValueError(
                f"`mask` must have the kernel's shape {shape}. "
                f"Received: mask with shape {mask.shape}"
            )
        return mask

    def get_config(self):
        return {**super().get_config(), "mask": self.mask.tolist()}

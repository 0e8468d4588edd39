import math

import keras
from keras import ops

from vlae_tf.backend import full_precision
from vlae_tf.checks import check_image_shape, check_integer, refuse
from vlae_tf.layers import MLP
from vlae_tf.layers.activations import slopes


@keras.saving.register_keras_serializable(package="vlae_tf")
class MLPDecoder(MLP):
    """Fully connected network from a code to maps, with a linear last layer.

        h_0 = z,    h_l = activation(h_{l-1} W_l + b_l),    maps = h_L W + b

    With `maps` equal to the number of parameters of a pixel and `projection=False` of the
    likelihood, the last layer gives the parameters themselves, such as the logits of pixels.

    Args:
        image_shape: `(height, width, channels)`.
        maps: channels of the output.
        units: sizes of the layers between the code and the last layer.
        activation: function, or its name in `keras.activations`.
        kernel_initializer: initialiser of each W.
        weight_norm: whether the layers are weight-normalised.
        code_size: size of the part of the code that the network reads, from its first number on;
            None for the whole code. Of a code with several rungs, the decoder of a hierarchical
            model reads the first alone.

    Input shape: `(batch, latent_dim)`; output shape: `(batch, height, width, maps)`.

    `jacobian` gives the derivatives of the maps, for posteriors that linearise the decoder.

    Raises:
        ValueError: for an invalid size, an unknown activation, or a code shorter than `code_size`.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import MLPDecoder
        >>> tuple(MLPDecoder((6, 6, 1), units=[8])(keras.ops.ones((2, 3))).shape)
        (2, 6, 6, 1)

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, section 5: two layers of 200 tanh
        units.
    """

    def __init__(
        self,
        image_shape,
        maps=1,
        units=(200, 200),
        activation="tanh",
        kernel_initializer="glorot_uniform",
        weight_norm=False,
        code_size=None,
        **kwargs,
    ):
        super().__init__(units, activation, kernel_initializer, weight_norm, **kwargs)
        self.image_shape = check_image_shape(image_shape)
        self.maps = check_integer(maps, "maps", least=1)
        if code_size is not None:
            check_integer(code_size, "code_size", least=1)
        self.code_size = code_size
        self._last = self._dense(math.prod(self.image_shape[:2]) * maps)

    def build(self, input_shape):
        if self.code_size is not None and input_shape[-1] < self.code_size:
            raise ValueError(
                f"`code_size` must be at most the size of the code, {input_shape[-1]}. "
                f"Received: code_size={self.code_size}"
            )
        super().build((None, self.code_size or input_shape[-1]))
        self._last.build((None, self.units[-1]))

    def call(self, inputs):
        maps = self._last(super().call(inputs[:, : self.code_size]))
        return ops.reshape(maps, self.compute_output_shape((-1,)))

    def jacobian(self, code):
        """d maps / d code, `(batch, latent_dim, height, width, maps)`.

        Of a network that is linear between its kinks, by the slopes of its units at the code:

            d maps / dz = W_1 diag(a_1) W_2 diag(a_2) ... W,    a_l = activation'(h_{l-1} W_l + b_l)

        It is exact wherever no unit is at a kink, and computed in float32 whatever the policy. Its
        own gradient reaches the kernels; slopes have none.

        Args:
            code: codes, `(batch, latent_dim)`.

        Raises:
            ValueError: for an activation other than "relu", "leaky_relu" and "linear".
        """
        known = slopes(self.activation)
        if known is None:
            expected = "relu, leaky_relu or linear, for a Jacobian by the slopes of the units"
            refuse("activation", expected, getattr(self.activation, "__name__", self.activation))
        below, above = known
        inputs = full_precision(code[:, : self.code_size])
        size = inputs.shape[-1]
        tangents = None
        for layer in self._stack:
            inputs = ops.matmul(inputs, layer.kernel) + full_precision(layer.bias)
            slope = ops.cast(ops.where(inputs > 0, above, below), inputs.dtype)
            inputs = inputs * slope
            # The first layer sees the unit vectors, whose images are the rows of its kernel.
            tangents = layer.kernel[None] if tangents is None else _times(tangents, layer.kernel)
            tangents = tangents * slope[:, None, :]
        tangents = _times(tangents, self._last.kernel)
        unread = code.shape[-1] - size
        if unread:
            tangents = ops.pad(tangents, ((0, 0), (0, unread), (0, 0)))
        return ops.reshape(tangents, (-1, code.shape[-1], *self.image_shape[:2], self.maps))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.image_shape[:2], self.maps)


def _times(tangents, kernel):
    """`tangents` `(batch, d, m)` times a kernel `(m, n)`, as one product of two matrices."""
    rows = ops.reshape(tangents, (-1, tangents.shape[-1]))
    return ops.reshape(ops.matmul(rows, kernel), (-1, tangents.shape[1], kernel.shape[-1]))

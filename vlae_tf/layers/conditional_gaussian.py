import keras
from keras import ops

from vlae_tf.checks import check_integer
from vlae_tf.layers.activations import positive_scale
from vlae_tf.layers.mlp import MLP


@keras.saving.register_keras_serializable(package="vlae_tf")
class ConditionalGaussian(MLP):
    """Means and standard deviations of a diagonal Gaussian, given a vector.

        N(loc(h), diag(scale(h)^2)),    h = MLP(x)

    `scale` is a softplus, 1 where its argument is 0; all in float32 whatever the policy.

    Args:
        size: number of dimensions of the Gaussian.
        units: sizes of the hidden layers.
        activation: function, or its name in `keras.activations`.
        kernel_initializer: initialiser of the kernels.
        weight_norm: whether the layers are weight-normalised.

    Input shape: `(..., features)`; output: a tuple of `loc` and `scale`, each `(..., size)`.

    Raises:
        ValueError: for a size that is no positive integer, or invalid arguments of `MLP`.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import ConditionalGaussian
        >>> loc, scale = ConditionalGaussian(3, units=[8])(keras.ops.ones((2, 5)))
        >>> tuple(loc.shape), tuple(scale.shape)
        ((2, 3), (2, 3))

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, section 5.
    """

    def __init__(
        self,
        size,
        units=(100, 100),
        activation="tanh",
        kernel_initializer="glorot_uniform",
        weight_norm=False,
        **kwargs,
    ):
        super().__init__(
            units, activation, kernel_initializer, weight_norm, **{"dtype": "float32", **kwargs}
        )
        self.size = check_integer(size, "size", least=1)
        self._head = self._dense(2 * size)

    def build(self, input_shape):
        super().build(input_shape)
        self._head.build((None, self.units[-1]))

    def call(self, inputs):
        # Rows of one matrix: a product of matrices of higher rank takes a slow path.
        rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
        outputs = self._head(super().call(rows))
        outputs = ops.reshape(outputs, (*ops.shape(inputs)[:-1], 2 * self.size))
        loc, raw_scale = ops.split(outputs, 2, axis=-1)
        return loc, positive_scale(raw_scale)

    def compute_output_shape(self, input_shape):
        shape = (*input_shape[:-1], self.size)
        return shape, shape

import keras

from vlae_tf.checks import check_activation, check_flag, check_initializer, check_integers
from vlae_tf.layers.activations import activate
from vlae_tf.layers.configured_layer import ConfiguredLayer
from vlae_tf.layers.dense import Dense


@keras.saving.register_keras_serializable(package="vlae_tf")
class MLP(ConfiguredLayer):
    """Multilayer perceptron: fully connected layers, each with the same activation.

        h_0 = x,    h_l = activation(h_{l-1} W_l + b_l)

    Args:
        units: sizes of the layers.
        activation: function, or its name in `keras.activations`.
        kernel_initializer: initialiser of each W.
        weight_norm: whether each W is weight-normalised.

    Input shape: `(..., features)`; output shape: `(..., units[-1])`.

    Raises:
        ValueError: for `units` that are no list of positive integers, or an unknown activation.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import MLP
        >>> tuple(MLP([8, 4])(keras.ops.ones((2, 6))).shape)
        (2, 4)

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.
    """

    def __init__(
        self,
        units=(200, 200),
        activation="tanh",
        kernel_initializer="glorot_uniform",
        weight_norm=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = check_integers(units, "units", least=1)
        self.activation = check_activation(activation)
        self.kernel_initializer = check_initializer(kernel_initializer)
        self.weight_norm = check_flag(weight_norm, "weight_norm")
        self._stack = [self._dense(size) for size in self.units]

    def _dense(self, size):
        # An initialiser gives the same values at every call, so each layer has its own.
        return Dense(
            size,
            kernel_initializer=self.kernel_initializer.clone(),
            weight_norm=self.weight_norm,
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        for layer in self._stack:
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    def call(self, inputs):
        for layer in self._stack:
            inputs = activate(self.activation, layer(inputs))
        return inputs

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units[-1])

import math

import keras
from keras import ops

from vlae_tf.checks import check_ladder_units
from vlae_tf.layers import MLP, ConfiguredLayer


@keras.saving.register_keras_serializable(package="vlae_tf")
class LadderEncoder(ConfiguredLayer):
    """Fully connected network whose stages each give features: those of a ladder's rungs.

        h_0 = (x + 1) / 2,    h_l = MLP_l(h_{l-1}),    features = [h_1, ..., h_L]

    The rung at the bottom sees the image through one stage, the one at the top through all: what
    takes more computation to find is left to the rungs above.

    Args:
        units: for each stage, from the bottom up, a list of the sizes of its layers.
        activation: function, or its name in `keras.activations`.
        kernel_initializer: initialiser of the kernels.
        weight_norm: whether the layers are weight-normalised.

    Attributes:
        feature_sizes: number of features of each stage; `LadderPosterior` is given the same.

    Input shape: `(batch, height, width, channels)`, scaled to -1..1; output shape:
    `(batch, sum(feature_sizes))`.

    Raises:
        ValueError: for `units` that are no lists of positive integers, or an unknown activation.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import LadderEncoder
        >>> encoder = LadderEncoder([[8], [6, 4]])
        >>> tuple(encoder(keras.ops.ones((2, 6, 6, 1))).shape), encoder.feature_sizes
        ((2, 12), [8, 4])

    Reference:
        Zhao et al., "Learning Hierarchical Features from Generative Models", ICML 2017, section 5;
        there each stage is convolutional.
    """

    def __init__(
        self,
        units=((512,), (512,), (512,)),
        activation="relu",
        kernel_initializer="glorot_uniform",
        weight_norm=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = check_ladder_units(units)
        self.feature_sizes = [sizes[-1] for sizes in self.units]
        self._stages = [
            MLP(sizes, activation, kernel_initializer, weight_norm, dtype=self.dtype_policy)
            for sizes in self.units
        ]
        self.activation = self._stages[0].activation
        self.kernel_initializer = self._stages[0].kernel_initializer
        self.weight_norm = weight_norm

    def build(self, input_shape):
        shape = (None, math.prod(input_shape[1:]))
        for stage in self._stages:
            stage.build(shape)
            shape = stage.compute_output_shape(shape)

    def call(self, inputs):
        # Pixels of 0..1, as in `MLPEncoder`.
        h = (ops.reshape(inputs, (-1, math.prod(inputs.shape[1:]))) + 1.0) / 2.0
        features = []
        for stage in self._stages:
            h = stage(h)
            features.append(h)
        return ops.concatenate(features, axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], sum(self.feature_sizes))

import keras
from keras import ops

from vlae_tf.layers.activations import elu, gate
from vlae_tf.layers.composite_layer import CompositeLayer
from vlae_tf.layers.conv2d import Conv2D
from vlae_tf.layers.masked_conv2d import MaskedConv2D


@keras.saving.register_keras_serializable(package="vlae_tf")
class GatedMaskedBlock(CompositeLayer):
    """Gated residual block of two masked convolutions, each conditioned on the code.

        h = conv(elu(x)) + V1 c
        a, b = conv(elu(h)) + V2 c
        y = x + a * sigmoid(b)

    c are the decoder's maps: the code speaks in every layer, through 1x1 convolutions.

    Args:
        filters: number of channels, of input and output alike.
        kernel_size: size of the masked kernels, an integer or two.
        dropout: rate of the dropout between the masked convolutions.
        weight_norm: whether the convolutions are weight-normalised.
        seed: seed of the dropout.
        groups: number of ordered channel groups (`MaskedConv2D`).

    Call arguments: `inputs` `(batch, height, width, filters)`, and `conditioning` `(batch, height,
    width, maps)` or None. Output shape: that of `inputs`.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import GatedMaskedBlock
        >>> tuple(GatedMaskedBlock(4)(keras.ops.ones((1, 5, 5, 4))).shape)
        (1, 5, 5, 4)

    Reference:
        van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016, equation
        4; Salimans et al., "PixelCNN++", 2017, section 2.
    """

    def __init__(
        self, filters, kernel_size=3, dropout=0.0, weight_norm=False, seed=None, groups=1, **kwargs
    ):
        super().__init__(dropout, weight_norm, seed, **kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.groups = groups
        options = self._options()
        masked = {"groups": groups, **options}
        self._first = MaskedConv2D(filters, kernel_size, **masked)
        self._second = MaskedConv2D(2 * filters, kernel_size, init_scale=0.1, **masked)
        self._first_condition = Conv2D(filters, 1, use_bias=False, **options)
        self._second_condition = Conv2D(2 * filters, 1, use_bias=False, init_scale=0.1, **options)

    def build(self, inputs_shape, conditioning_shape=None):
        self._first.build(inputs_shape)
        self._second.build(inputs_shape)
        if conditioning_shape is not None:
            self._first_condition.build(conditioning_shape)
            self._second_condition.build(conditioning_shape)

    def call(self, inputs, conditioning=None, training=False, cache=None):
        h = self._first(elu(inputs, training), cache=cache)
        if conditioning is not None:
            h = h + self._first_condition(conditioning, cache=cache)
        h = self._second(self._dropped(ops.elu(h), training), cache=cache)
        if conditioning is not None:
            h = h + self._second_condition(conditioning, cache=cache)
        return inputs + gate(h, self.groups, training=training)

    def compute_output_shape(self, inputs_shape, conditioning_shape=None):
        return inputs_shape

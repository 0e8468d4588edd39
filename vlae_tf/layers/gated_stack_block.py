import keras

from vlae_tf.checks import check_pair
from vlae_tf.layers.activations import gate
from vlae_tf.layers.composite_layer import CompositeLayer
from vlae_tf.layers.conv2d import Conv2D
from vlae_tf.layers.masked_conv2d import MaskedConv2D, pointwise


@keras.saving.register_keras_serializable(package="vlae_tf")
class GatedStackBlock(CompositeLayer):
    """One layer of a gated PixelCNN: a step of the vertical and one of the horizontal stack.

        v' = V * v + U1 c                                    y = gate(v')
        h' = H * h + W v' + U2 c                             z = h + W2 gate(h')
        gate(a, b) = tanh(a) * sigmoid(b)

    V sees the rows above and the whole of its own, H what is left of the pixel and the pixel. What
    the vertical stack knows goes into the horizontal one, never back: v at (i, j) must hold nothing
    of row i, so that the horizontal stack may look at it.

    Args:
        filters: number of channels of each stack.
        kernel_size: size of V, an integer or two; H has its width.
        dropout: rate of the dropout of what enters V and H.
        weight_norm: whether the convolutions are weight-normalised.
        seed: seed of the dropout.
        groups: number of ordered channel groups of the horizontal stack (`MaskedConv2D`).

    Call arguments: `vertical` and `horizontal`, `(batch, height, width, filters)`, and
    `conditioning` `(batch, height, width, maps)` or None. Output: the pair (y, z),
    of the inputs' shapes.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import GatedStackBlock
        >>> ones = keras.ops.ones((1, 5, 5, 4))
        >>> vertical, horizontal = GatedStackBlock(4)(ones, ones)
        >>> tuple(vertical.shape), tuple(horizontal.shape)
        ((1, 5, 5, 4), (1, 5, 5, 4))

    Reference:
        van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016, figure 2
        and equation 5.
    """

    def __init__(
        self, filters, kernel_size=3, dropout=0.0, weight_norm=False, seed=None, groups=1, **kwargs
    ):
        super().__init__(dropout, weight_norm, seed, **kwargs)
        self.filters = filters
        self.kernel_size = check_pair(kernel_size, "kernel_size")
        self.groups = groups
        options = self._options()
        row = (1, self.kernel_size[1])
        self._vertical = MaskedConv2D(2 * filters, self.kernel_size, mask_type="rows", **options)
        self._horizontal = MaskedConv2D(2 * filters, row, groups=groups, **options)
        self._link = Conv2D(2 * filters, 1, use_bias=False, **options)
        self._output = pointwise(filters, groups, init_scale=0.1, **options)
        self._vertical_condition = Conv2D(2 * filters, 1, use_bias=False, **options)
        self._horizontal_condition = Conv2D(2 * filters, 1, use_bias=False, **options)

    def build(self, vertical_shape, horizontal_shape, conditioning_shape=None):
        self._vertical.build(vertical_shape)
        self._horizontal.build(horizontal_shape)
        self._link.build((*vertical_shape[:-1], 2 * self.filters))
        self._output.build(horizontal_shape)
        if conditioning_shape is not None:
            self._vertical_condition.build(conditioning_shape)
            self._horizontal_condition.build(conditioning_shape)

    def call(self, vertical, horizontal, conditioning=None, training=False, cache=None):
        skip = horizontal
        vertical = self._dropped(vertical, training)
        horizontal = self._dropped(horizontal, training)
        # Along a wavefront the vertical stack runs ahead, of the conditioning too.
        here = cache and cache.ahead(0)
        vertical = self._vertical(vertical, cache=cache)
        if conditioning is not None:
            vertical = vertical + self._vertical_condition(conditioning, cache=cache)
        link = self._link(vertical, cache=cache)
        if cache is not None:
            link = cache.delay(link, cache.lead)
        horizontal = self._horizontal(horizontal, cache=here) + link
        if conditioning is not None:
            if cache is not None:
                conditioning = cache.delay(conditioning, cache.lead)
            horizontal = horizontal + self._horizontal_condition(conditioning, cache=here)
        horizontal = gate(horizontal, self.groups, bounded=True, training=training)
        vertical = gate(vertical, bounded=True, training=training)
        return vertical, skip + self._output(horizontal, cache=here)

    def compute_output_shape(self, vertical_shape, horizontal_shape, conditioning_shape=None):
        return vertical_shape, horizontal_shape

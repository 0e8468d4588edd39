import keras

from vlae_tf.layers.activations import elu
from vlae_tf.layers.conv2d import Conv2D
from vlae_tf.layers.gated_masked_block import GatedMaskedBlock
from vlae_tf.layers.kernel_layer import pair
from vlae_tf.layers.masked_conv2d import MaskedConv2D, pointwise
from vlae_tf.layers.receptive_field import ReceptiveField


@keras.saving.register_keras_serializable(package="vlae_tf")
class LocalPixelCNN(keras.layers.Layer):
    """PixelCNN with a window of any size, conditioned on the code in every layer.

        params[i, j] = f(x[window above and left of (i, j)], c)

    One masked convolution that does not see the pixel itself (type A), then gated residual blocks
    of masked convolutions (type B). The window is the sum of the kernels: with a first kernel of 5
    and n blocks of kernel 3 it reaches 2 + 2n rows up, as a cone that widens to the right by one
    column a row (two in the row just above); `block_kernel_size=1` adds depth without widening it.

    Args:
        output_channels: number of parameters for each pixel (1 for a binary image).
        filters: number of channels of the stack.
        blocks: number of gated residual blocks.
        first_kernel_size: of the type A convolution.
        block_kernel_size: of the convolutions in the blocks.
        dropout: rate inside the blocks.
        weight_norm: whether the convolutions are weight-normalised.
        seed: of the dropout.
        groups: number of ordered channel groups: 1, or as many as the images have channels. At
            its own place a channel sees those before it, and the outputs fall into as many groups,
            one for each channel.

    Call arguments: `inputs` `(batch, height, width, channels)`, scaled to about -1..1;
    `conditioning` `(batch, height, width, maps)` or None. Output shape: `(batch, height, width,
    output_channels)`, float32.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import LocalPixelCNN
        >>> network = LocalPixelCNN(filters=4, blocks=1, first_kernel_size=3)
        >>> tuple(network(keras.ops.ones((1, 5, 5, 1))).shape), network.receptive_field.above
        ((1, 5, 5, 1), 3)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equation 11 (the local decoder);
        van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016, section 2.
    """

    def __init__(
        self,
        output_channels=1,
        filters=32,
        blocks=5,
        first_kernel_size=5,
        block_kernel_size=3,
        dropout=0.0,
        weight_norm=False,
        seed=None,
        groups=1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if blocks < 0:
            raise ValueError(f"`blocks` must not be negative. Received: blocks={blocks!r}")
        self.output_channels = output_channels
        self.filters = filters
        self.blocks = blocks
        self.first_kernel_size = pair(first_kernel_size, "first_kernel_size")
        self.block_kernel_size = pair(block_kernel_size, "block_kernel_size")
        self.dropout = dropout
        self.weight_norm = weight_norm
        self.seed = seed
        self.groups = groups
        options = {"weight_norm": weight_norm, "dtype": self.dtype_policy}
        self._first = MaskedConv2D(
            filters, first_kernel_size, mask_type="A", groups=groups, **options
        )
        self._condition = Conv2D(filters, 1, use_bias=False, **options)
        self._blocks = [
            GatedMaskedBlock(
                filters,
                block_kernel_size,
                dropout=dropout,
                seed=None if seed is None else seed + index,
                groups=groups,
                **options,
            )
            for index in range(blocks)
        ]
        # The parameters of a distribution are float32 whatever the policy.
        self._output = pointwise(output_channels, groups, weight_norm=weight_norm, dtype="float32")

    @property
    def receptive_field(self):
        """The window, a `ReceptiveField`."""
        kernels = [self.first_kernel_size] + [self.block_kernel_size] * (2 * self.blocks)
        return ReceptiveField.of_stack(kernels)

    def build(self, inputs_shape, conditioning_shape=None):
        self._first.build(inputs_shape)
        if conditioning_shape is not None:
            self._condition.build(conditioning_shape)
        shape = (*inputs_shape[:-1], self.filters)
        for block in self._blocks:
            block.build(shape, conditioning_shape)
        self._output.build(shape)

    def call(self, inputs, conditioning=None, training=False, cache=None):
        h = self._first(inputs, cache=cache)
        if conditioning is not None:
            h = h + self._condition(conditioning, cache=cache)
        for block in self._blocks:
            h = block(h, conditioning, training=training, cache=cache)
        return self._output(elu(h), cache=cache)

    def compute_output_shape(self, inputs_shape, conditioning_shape=None):
        return (*inputs_shape[:-1], self.output_channels)

    def get_config(self):
        return {
            **super().get_config(),
            "output_channels": self.output_channels,
            "filters": self.filters,
            "blocks": self.blocks,
            "first_kernel_size": self.first_kernel_size,
            "block_kernel_size": self.block_kernel_size,
            "dropout": self.dropout,
            "weight_norm": self.weight_norm,
            "seed": self.seed,
            "groups": self.groups,
        }

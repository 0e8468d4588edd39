import keras

from vlae_tf.layers.activations import elu
from vlae_tf.layers.conv2d import Conv2D
from vlae_tf.layers.gated_masked_block import GatedMaskedBlock
from vlae_tf.layers.masked_conv2d import MaskedConv2D
from vlae_tf.layers.stacked_pixelcnn import StackedPixelCNN
from vlae_tf.layers.wavefront import ReceptiveField


@keras.saving.register_keras_serializable(package="vlae_tf")
class LocalPixelCNN(StackedPixelCNN):
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
        first_kernel_size: size of the type A kernel, an integer or two; the height is odd.
        block_kernel_size: size of the kernels in the blocks, likewise.
        dropout: rate of the dropout inside the blocks.
        weight_norm: whether the convolutions are weight-normalised.
        seed: seed of the dropout.
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

    def _make_layers(self):
        options = self._options()
        self._first = MaskedConv2D(
            self.filters, self.first_kernel_size, mask_type="A", groups=self.groups, **options
        )
        self._condition = Conv2D(self.filters, 1, use_bias=False, **options)
        self._blocks = self._make_blocks(GatedMaskedBlock)
        self._output = self._make_output()

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
        return self._output(elu(h, training), cache=cache)

import keras

from vlae_tf.layers.activations import elu
from vlae_tf.layers.gated_stack_block import GatedStackBlock
from vlae_tf.layers.masked_conv2d import MaskedConv2D
from vlae_tf.layers.stacked_pixelcnn import StackedPixelCNN
from vlae_tf.layers.wavefront import ReceptiveField, sides


@keras.saving.register_keras_serializable(package="vlae_tf")
class GatedPixelCNN(StackedPixelCNN):
    """PixelCNN of a vertical and a horizontal stack, whose window is a rectangle: no blind spot.

        params[i, j] = f(x[rows above, columns j - s .. j + s], x[i, j - s .. j - 1], c)

    Masked convolutions one after another never see what is far to the upper right. Here one stack
    sees the rows above, to both sides, and another what is to the left; the second listens to the
    first. The vertical stack starts with nothing of the pixel's own row and the horizontal one with
    nothing of the pixel itself, so all later layers may look at their own place.

    The window is the sum of the kernels: a first kernel of (2a + 1, w) and blocks of kernel 1 give
    exactly the a rows above, w columns wide, whatever the depth; an even w has one column more to
    the left. So the paper's windows "4x2", "5x3" and "7x4" are first kernels of (5, 4), (7, 5) and
    (9, 7). Each block of kernel (2a' + 1, 2s' + 1) adds a' rows and s' columns to each side. The
    price of seeing the upper right is more steps of sampling: `receptive_field.slope`.

    Where the sum reaches an image's height and width less one, to every side, the context is full:
    each pixel sees all before it (a first kernel of 7 and 14 blocks of 5 for 32x32 pixels).

    Args:
        output_channels: number of parameters for each pixel (1 for a binary image).
        filters: number of channels of each stack.
        blocks: number of layers after the first.
        first_kernel_size: size of the first kernel, an integer or two; the height is odd.
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
        >>> from vlae_tf.layers import GatedPixelCNN
        >>> network = GatedPixelCNN(filters=4, blocks=2, first_kernel_size=(7, 5),
        ...                         block_kernel_size=1)
        >>> tuple(network(keras.ops.ones((1, 8, 8, 1))).shape)
        (1, 8, 8, 1)
        >>> network.receptive_field
        ReceptiveField(above=3, left=2, right=2, slope=2, ends=(-1, 2, 2, 2))

    Reference:
        van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016, sections
        2.2 and 2.3; Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equation 11.
    """

    least_blocks = 1

    def _make_layers(self):
        options = self._options()
        first = self.filters, self.first_kernel_size
        self._vertical = MaskedConv2D(*first, mask_type="above", **options)
        self._horizontal = MaskedConv2D(*first, mask_type="A", groups=self.groups, **options)
        self._blocks = self._make_blocks(GatedStackBlock)
        self._output = self._make_output()

    @property
    def receptive_field(self):
        """The window, a `ReceptiveField`."""
        up, width = self.first_kernel_size[0] // 2, self.first_kernel_size[1]
        more_up = self.blocks * (self.block_kernel_size[0] // 2)
        more_left, more_right = (self.blocks * side for side in sides(self.block_kernel_size[1]))
        left, right = sides(width)
        above = up + more_up if up else 0
        sees_left = left + more_left if up or left else 0
        row = -1 if left else -float("inf")
        return ReceptiveField.of_rows([row] + above * [right + more_right], sees_left)

    def build(self, inputs_shape, conditioning_shape=None):
        self._vertical.build(inputs_shape)
        self._horizontal.build(inputs_shape)
        shape = (*inputs_shape[:-1], self.filters)
        for block in self._blocks:
            block.build(shape, shape, conditioning_shape)
        self._output.build(shape)

    @property
    def lookahead(self):
        """How many steps of a wavefront the vertical stack must run ahead of the horizontal one."""
        return self.blocks * sides(self.block_kernel_size[1])[1]

    def call(self, inputs, conditioning=None, training=False, cache=None):
        ahead = cache and cache.ahead(self.lookahead)
        vertical = self._vertical(inputs, cache=ahead)
        horizontal = self._horizontal(inputs, cache=cache)
        for block in self._blocks:
            if cache is not None:
                right = sides(block.kernel_size[1])[1]
                ahead = cache.ahead(ahead.lead - right)
                if conditioning is not None:
                    conditioning = cache.delay(conditioning, right)
            vertical, horizontal = block(
                vertical, horizontal, conditioning, training=training, cache=ahead
            )
        return self._output(elu(horizontal, training), cache=cache)

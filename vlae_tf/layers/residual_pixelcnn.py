import keras

from vlae_tf.checks import check_flag, check_integer, check_pair
from vlae_tf.layers.activations import elu
from vlae_tf.layers.composite_layer import CompositeLayer
from vlae_tf.layers.conv2d import Conv2D
from vlae_tf.layers.masked_conv2d import MaskedConv2D
from vlae_tf.layers.residual_block import ResidualBlock
from vlae_tf.layers.wavefront import ReceptiveField


@keras.saving.register_keras_serializable(package="vlae_tf")
class ResidualPixelCNN(CompositeLayer):
    """The paper's decoder of binary images: few and narrow masked convolutions, their weights tied.

        h_1 = A * [x, c],        h_k = h_{k-1} + B * elu(h_{k-1})    for k = 2..depth
        params = W elu(h_depth),    receptive field: depth rows up (for a kernel of 3)

    with residual blocks of 1x1 convolutions between, which add depth without widening the window.
    They stand after the second, the fourth, ... masked convolution while another one follows: with
    the defaults that makes the paper's 6 masked convolutions and 4 extra blocks.

    Of the masked convolutions only those of type B can be tied: the first has another input (the
    image and the maps) and another mask. So `tied` leaves two masked kernels, A and one B.

    Args:
        output_channels: number of parameters for each pixel (1 for a binary image).
        filters: number of channels of the stack.
        depth: number of masked convolutions, the first included.
        kernel_size: size of the masked kernels, an integer or two; the height is odd.
        pointwise_blocks: number of 1x1 residual blocks in each place.
        tied: whether all masked convolutions of type B are one layer. The paper ties them on static
            MNIST, against overfitting; untied was better on larger sets.
        dropout: rate of the dropout inside the 1x1 residual blocks.
        weight_norm: whether the convolutions are weight-normalised, as in the paper.
        seed: seed of the dropout.

    Call arguments: `inputs` `(batch, height, width, channels)`, scaled to about -1..1;
    `conditioning` `(batch, height, width, maps)` or None. Output shape: `(batch, height, width,
    output_channels)`, float32.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import ResidualPixelCNN
        >>> network = ResidualPixelCNN()
        >>> images, maps = keras.ops.ones((1, 8, 8, 1)), keras.ops.ones((1, 8, 8, 4))
        >>> tuple(network(images, maps).shape)
        (1, 8, 8, 1)
        >>> network.receptive_field
        ReceptiveField(above=6, left=6, right=6, slope=1, ends=(-1, 1, 2, 3, 4, 5, 6))

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix A.
    """

    def __init__(
        self,
        output_channels=1,
        filters=12,
        depth=6,
        kernel_size=3,
        pointwise_blocks=2,
        tied=True,
        dropout=0.0,
        weight_norm=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(dropout, weight_norm, seed, **kwargs)
        self.output_channels = check_integer(output_channels, "output_channels", least=1)
        self.filters = check_integer(filters, "filters", least=1)
        self.depth = check_integer(depth, "depth", least=1)
        self.kernel_size = check_pair(kernel_size, "kernel_size")
        self.pointwise_blocks = check_integer(pointwise_blocks, "pointwise_blocks", least=0)
        self.tied = check_flag(tied, "tied")
        options = self._options()
        self._first = MaskedConv2D(filters, self.kernel_size, mask_type="A", **options)
        # A convolution of the concatenation is the sum of two. Type B: the code is no secret, so
        # a pixel may see the map at its own place.
        self._condition = MaskedConv2D(filters, self.kernel_size, use_bias=False, **options)
        self._masked = [
            MaskedConv2D(filters, self.kernel_size, **options)
            for _ in range(min(depth - 1, 1) if tied else depth - 1)
        ]
        self._pointwise = [
            ResidualBlock(filters, kernel_size=1, **self._block_options(index))
            for index in range((depth - 1) // 2 * pointwise_blocks)
        ]
        # The parameters of a distribution are of full precision whatever the policy.
        self._output = Conv2D(output_channels, 1, **{**options, "dtype": self.variable_dtype})

    @property
    def receptive_field(self):
        """The window, a `ReceptiveField`."""
        return ReceptiveField.of_stack([self.kernel_size] * self.depth)

    def build(self, inputs_shape, conditioning_shape=None):
        self._first.build(inputs_shape)
        if conditioning_shape is not None:
            self._condition.build(conditioning_shape)
        shape = (*inputs_shape[:-1], self.filters)
        for layer in (*self._masked, *self._pointwise, self._output):
            layer.build(shape)

    def call(self, inputs, conditioning=None, training=False, cache=None):
        h = self._first(inputs, cache=cache)
        if conditioning is not None:
            h = h + self._condition(conditioning, cache=cache)
        pointwise = iter(self._pointwise)
        for count in range(2, self.depth + 1):
            h = h + self._masked[0 if self.tied else count - 2](elu(h, training), cache=cache)
            if count % 2 == 0 and count < self.depth:
                for _ in range(self.pointwise_blocks):
                    h = next(pointwise)(h, training=training, cache=cache)
        return self._output(elu(h, training), cache=cache)

    def compute_output_shape(self, inputs_shape, conditioning_shape=None):
        return (*inputs_shape[:-1], self.output_channels)

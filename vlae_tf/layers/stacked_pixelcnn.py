from vlae_tf.checks import check_integer, check_pair
from vlae_tf.layers.composite_layer import CompositeLayer
from vlae_tf.layers.masked_conv2d import pointwise


class StackedPixelCNN(CompositeLayer):
    """What `LocalPixelCNN` and `GatedPixelCNN` share: a first layer, blocks after it, and outputs.

    Subclasses make their layers in `_make_layers`.
    """

    least_blocks = 0

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
        super().__init__(dropout, weight_norm, seed, **kwargs)
        self.output_channels = check_integer(output_channels, "output_channels", least=1)
        self.filters = check_integer(filters, "filters", least=1)
        self.blocks = check_integer(blocks, "blocks", self.least_blocks)
        self.first_kernel_size = check_pair(first_kernel_size, "first_kernel_size", odd_height=True)
        self.block_kernel_size = check_pair(block_kernel_size, "block_kernel_size", odd_height=True)
        self.groups = check_integer(groups, "groups", least=1)
        self._make_layers()

    def _make_layers(self):
        raise NotImplementedError

    def _make_blocks(self, block):
        sizes = {"kernel_size": self.block_kernel_size, "groups": self.groups}
        return [
            block(self.filters, **sizes, **self._block_options(index))
            for index in range(self.blocks)
        ]

    def _make_output(self):
        # The parameters of a distribution are of full precision whatever the policy.
        options = {**self._options(), "dtype": self.variable_dtype}
        return pointwise(self.output_channels, self.groups, **options)

    def compute_output_shape(self, inputs_shape, conditioning_shape=None):
        return (*inputs_shape[:-1], self.output_channels)

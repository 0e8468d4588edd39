import keras

from vlae_tf.checks import check_integer, check_pair
from vlae_tf.layers.masked_conv2d import pointwise


class StackedPixelCNN(keras.layers.Layer):
    """What `LocalPixelCNN` and `GatedPixelCNN` share: a first layer, blocks after it, and outputs.

    Subclasses make their layers in `_make_layers`, from options that all convolutions take.
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
        super().__init__(**kwargs)
        check_integer(blocks, "blocks", self.least_blocks)
        self.output_channels = output_channels
        self.filters = filters
        self.blocks = blocks
        self.first_kernel_size = check_pair(first_kernel_size, "first_kernel_size", odd_height=True)
        self.block_kernel_size = check_pair(block_kernel_size, "block_kernel_size", odd_height=True)
        self.dropout = dropout
        self.weight_norm = weight_norm
        self.seed = seed
        self.groups = groups
        self._make_layers({"weight_norm": weight_norm, "dtype": self.dtype_policy})

    def _make_layers(self, options):
        raise NotImplementedError

    def _make_blocks(self, block, options):
        return [
            block(
                self.filters,
                self.block_kernel_size,
                dropout=self.dropout,
                seed=None if self.seed is None else self.seed + index,
                groups=self.groups,
                **options,
            )
            for index in range(self.blocks)
        ]

    def _make_output(self, options):
        # The parameters of a distribution are float32 whatever the policy.
        return pointwise(self.output_channels, self.groups, **{**options, "dtype": "float32"})

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

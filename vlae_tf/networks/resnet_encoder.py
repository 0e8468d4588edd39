import math

import keras
from keras import ops

from vlae_tf.checks import check_integer, check_integers
from vlae_tf.layers import CompositeLayer, Conv2D, Dense
from vlae_tf.layers.activations import elu
from vlae_tf.networks.stages import block_class, check_blocks


@keras.saving.register_keras_serializable(package="vlae_tf")
class ResNetEncoder(CompositeLayer):
    """Residual or densely connected network from an image to a vector of features.

    A 3x3 convolution, then one stage for each entry of `filters`: all but the first begin with a
    block that halves the map; `blocks` further blocks follow. A dense layer ends it.

    Args:
        filters: channels of each stage.
        blocks: blocks in each stage after the halving one, an integer or one for each stage.
        units: number of features, or None for the last maps themselves, flattened: the way to a
            code that is laid out as a map.
        block: "residual" for `ResidualBlock`, "dense" for `DenseBlock`. One dense block takes the
            place of two residual ones, so give it half as many `blocks`.
        dropout: rate of the dropout inside the blocks and before the dense layer.
        weight_norm: whether all layers are weight-normalised.
        seed: seed of the dropout.

    Input shape: `(batch, height, width, channels)`, scaled to -1..1; output shape:
    `(batch, units)`.

    Raises:
        ValueError: for an unknown `block`, or sizes that are not integers of their range.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import ResNetEncoder
        >>> encoder = ResNetEncoder(filters=[4, 8], blocks=1, units=16)
        >>> tuple(encoder(keras.ops.ones((2, 8, 8, 1))).shape)
        (2, 16)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix A (residual) and B
        (densely connected).
    """

    def __init__(
        self,
        filters=(32, 48, 64),
        blocks=2,
        units=384,
        block="residual",
        dropout=0.0,
        weight_norm=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(dropout, weight_norm, seed, **kwargs)
        self.filters = check_integers(filters, "filters", least=1)
        self.blocks = list(blocks) if isinstance(blocks, (list, tuple)) else blocks
        self.units = None if units is None else check_integer(units, "units", least=1)
        self.block = block
        make_block = block_class(block)
        options = self._options()
        self._first = Conv2D(self.filters[0], 3, **options)
        self._blocks = []
        counts = check_blocks(blocks, self.filters)
        for stage, (channels, count) in enumerate(zip(self.filters, counts, strict=True)):
            for index in range(count + (stage > 0)):
                strides = 2 if stage and not index else 1
                block_options = self._block_options(len(self._blocks))
                self._blocks.append(make_block(channels, strides=strides, **block_options))
        self._dense = None if units is None else Dense(units, **options)

    def build(self, input_shape):
        self._first.build(input_shape)
        shape = self._first.compute_output_shape(input_shape)
        for block in self._blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self._size = math.prod(shape[1:])
        if self._dense is not None:
            self._dense.build((None, self._size))

    def call(self, inputs, training=False):
        h = self._first(inputs)
        for block in self._blocks:
            h = block(h, training=training)
        h = ops.reshape(elu(h, training), (-1, self._size))
        if self._dense is None:
            return h
        return ops.elu(self._dense(self._dropped(h, training)))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self._size if self.units is None else self.units)

import keras
from keras import ops

from vlae_tf.layers import Conv2D, Dense, ResidualBlock
from vlae_tf.layers.activations import elu


@keras.saving.register_keras_serializable(package="vlae_tf")
class ResNetEncoder(keras.layers.Layer):
    """Residual network from an image to a vector of features.

    A 3x3 convolution, then one stage for each entry of `filters`: all but the first begin with a
    block that halves the map; `blocks` further blocks follow. A dense layer ends it.

    Args:
        filters: channels of each stage.
        blocks: blocks in each stage after the halving one, an integer or one for each stage.
        units: number of features, or None for the last maps themselves, flattened: the way to a
            code that is laid out as a map.
        dropout: rate inside the blocks and before the dense layer.
        weight_norm: whether all layers are weight-normalised.
        seed: of the dropout.

    Input shape: `(batch, height, width, channels)`, scaled to -1..1; output shape:
    `(batch, units)`.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import ResNetEncoder
        >>> encoder = ResNetEncoder(filters=[4, 8], blocks=1, units=16)
        >>> tuple(encoder(keras.ops.ones((2, 8, 8, 1))).shape)
        (2, 16)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix A.
    """

    block = ResidualBlock

    def __init__(
        self,
        filters=(32, 48, 64),
        blocks=2,
        units=384,
        dropout=0.0,
        weight_norm=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = list(filters)
        self.blocks = blocks if isinstance(blocks, int) else list(blocks)
        self.units = units
        self.dropout = dropout
        self.weight_norm = weight_norm
        self.seed = seed
        options = {"weight_norm": weight_norm, "dtype": self.dtype_policy}
        self._first = Conv2D(self.filters[0], 3, **options)
        self._blocks = []
        for stage, (channels, count) in enumerate(
            zip(self.filters, per_stage(blocks, self.filters), strict=True)
        ):
            for index in range(count + (stage > 0)):
                self._blocks.append(
                    self.block(
                        channels,
                        strides=2 if stage and not index else 1,
                        dropout=dropout,
                        seed=None if seed is None else seed + len(self._blocks),
                        **options,
                    )
                )
        self._drop = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)
        self._dense = None if units is None else Dense(units, **options)

    def build(self, input_shape):
        self._first.build(input_shape)
        shape = self._first.compute_output_shape(input_shape)
        for block in self._blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self._features = shape[1] * shape[2] * shape[3] if self.units is None else self.units
        if self._dense is not None:
            self._dense.build((None, shape[1] * shape[2] * shape[3]))

    def call(self, inputs, training=False):
        h = self._first(inputs)
        for block in self._blocks:
            h = block(h, training=training)
        h = elu(h)
        h = ops.reshape(h, (-1, h.shape[1] * h.shape[2] * h.shape[3]))
        if self._dense is None:
            return h
        return ops.elu(self._dense(self._drop(h, training=training)))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self._features)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "blocks": self.blocks,
            "units": self.units,
            "dropout": self.dropout,
            "weight_norm": self.weight_norm,
            "seed": self.seed,
        }


def per_stage(blocks, filters):
    """`blocks` as one integer for each stage."""
    counts = [blocks] * len(filters) if isinstance(blocks, int) else list(blocks)
    if len(counts) != len(filters) or any(not isinstance(n, int) or n < 0 for n in counts):
        raise ValueError(
            "`blocks` must be a non-negative integer, or one for each of the "
            f"{len(filters)} stages of `filters`. Received: blocks={blocks!r}"
        )
    return counts

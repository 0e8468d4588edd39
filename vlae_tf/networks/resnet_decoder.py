import math

import keras
from keras import ops

from vlae_tf.checks import check_code_shape
from vlae_tf.layers import Conv2D, Dense, ResidualBlock
from vlae_tf.layers.activations import elu
from vlae_tf.networks.resnet_encoder import per_stage


@keras.saving.register_keras_serializable(package="vlae_tf")
class ResNetDecoder(keras.layers.Layer):
    """Residual network from a code to maps of the image's size: the mirror of `ResNetEncoder`.

    Two dense layers lay the code out as the smallest map, or a 3x3 convolution where the code is a
    map already; then the stages of `filters` from last to first, all but the last one ending with a
    block that doubles the map; a 3x3 convolution makes the `maps`.

    Args:
        image_shape: `(height, width, channels)`; height and width must be multiples of
            `2 ** (stages - 1)`.
        maps: channels of the output, what the likelihood is told of the code.
        filters: channels of each stage, in the encoder's order.
        blocks: blocks in each stage beside the doubling one, an integer or one for each stage.
        units: size of the dense layer.
        code_shape: `(height, width, channels)` of a code laid out as a map, whose height and width
            are those of the smallest map; None for a code without a place.
        dropout: rate inside the blocks.
        weight_norm: whether all layers are weight-normalised.
        seed: of the dropout.

    Input shape: `(batch, latent_dim)`; output shape: `(batch, height, width, maps)`.

    Raises:
        ValueError: if the image cannot be halved that often, or a map of a code does not fit.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import ResNetDecoder
        >>> decoder = ResNetDecoder((8, 8, 1), maps=4, filters=[4, 8], blocks=1, units=16)
        >>> tuple(decoder(keras.ops.ones((2, 3))).shape)
        (2, 8, 8, 4)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix A (there 4 maps,
        concatenated with the image).
    """

    block = ResidualBlock

    def __init__(
        self,
        image_shape,
        maps=32,
        filters=(32, 48, 64),
        blocks=2,
        units=384,
        code_shape=None,
        dropout=0.0,
        weight_norm=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.maps = maps
        self.filters = list(filters)
        self.blocks = blocks if isinstance(blocks, int) else list(blocks)
        self.units = units
        self.code_shape = None if code_shape is None else check_code_shape(code_shape)
        self.dropout = dropout
        self.weight_norm = weight_norm
        self.seed = seed
        factor = 2 ** (len(self.filters) - 1)
        height, width, _ = self.image_shape
        if height % factor or width % factor:
            raise ValueError(
                f"`image_shape` must have height and width divisible by {factor}, for "
                f"{len(self.filters)} stages. Received: image_shape={self.image_shape}"
            )
        self._smallest = (height // factor, width // factor, self.filters[-1])
        options = {"weight_norm": weight_norm, "dtype": self.dtype_policy}
        if self.code_shape is None:
            self._dense = Dense(units, **options)
            self._layout = Dense(math.prod(self._smallest), **options)
        else:
            if self.code_shape[:2] != self._smallest[:2]:
                raise ValueError(
                    "`code_shape` must have the height and width of the smallest map, "
                    f"{self._smallest[:2]}. Received: code_shape={self.code_shape}"
                )
            self._dense, self._layout = None, Conv2D(self.filters[-1], 3, **options)
        self._blocks = []
        counts = per_stage(blocks, self.filters)
        for stage in reversed(range(len(self.filters))):
            growing = [1] * counts[stage] + ([2] if stage else [])
            for upsample in growing:
                self._blocks.append(
                    self.block(
                        self.filters[stage - 1 if upsample == 2 else stage],
                        upsample=upsample,
                        dropout=dropout,
                        seed=None if seed is None else seed + len(self._blocks),
                        **options,
                    )
                )
        self._last = Conv2D(maps, 3, **options)

    def build(self, input_shape):
        if self._dense is None:
            self._layout.build((None, *self.code_shape))
        else:
            self._dense.build(input_shape)
            self._layout.build((None, self.units))
        shape = (None, *self._smallest)
        for block in self._blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self._last.build(shape)

    def call(self, inputs, training=False):
        if self._dense is None:
            h = ops.elu(self._layout(ops.reshape(inputs, (-1, *self.code_shape))))
        else:
            h = ops.elu(self._layout(ops.elu(self._dense(inputs))))
            h = ops.reshape(h, (-1, *self._smallest))
        for block in self._blocks:
            h = block(h, training=training)
        return ops.elu(self._last(elu(h)))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.image_shape[:2], self.maps)

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "maps": self.maps,
            "filters": self.filters,
            "blocks": self.blocks,
            "units": self.units,
            "code_shape": self.code_shape,
            "dropout": self.dropout,
            "weight_norm": self.weight_norm,
            "seed": self.seed,
        }

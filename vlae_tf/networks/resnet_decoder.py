import math

import keras
from keras import ops

from vlae_tf.checks import (
    check_code_shape,
    check_image_shape,
    check_integer,
    check_integers,
    refuse,
)
from vlae_tf.layers import CompositeLayer, Conv2D, Dense
from vlae_tf.layers.activations import elu
from vlae_tf.networks.stages import block_class, check_blocks


@keras.saving.register_keras_serializable(package="vlae_tf")
class ResNetDecoder(CompositeLayer):
    """Residual or densely connected network from a code to maps: the mirror of `ResNetEncoder`.

    Two dense layers lay the code out as the smallest map, or a 3x3 convolution where the code is a
    map already; then the stages of `filters` from last to first, all but the last one ending with a
    block that doubles the map; a 3x3 convolution makes the `maps`.

    Args:
        image_shape: `(height, width, channels)`; height and width must be multiples of
            `2 ** (stages - 1)`.
        maps: channels of the output, by which the likelihood knows the code.
        filters: channels of each stage, in the encoder's order.
        blocks: blocks in each stage beside the doubling one, an integer or one for each stage.
        units: size of the dense layer.
        code_shape: `(height, width, channels)` of a code laid out as a map, whose height and width
            are those of the smallest map; None for a code without a place.
        block: "residual" for `ResidualBlock`, "dense" for `DenseBlock`. One dense block takes the
            place of two residual ones, so give it half as many `blocks`.
        dropout: rate of the dropout inside the blocks.
        weight_norm: whether all layers are weight-normalised.
        seed: seed of the dropout.

    Input shape: `(batch, latent_dim)`; output shape: `(batch, height, width, maps)`.

    Raises:
        ValueError: if the image cannot be halved that often, a map of a code does not fit, for an
            unknown `block`, or sizes that are not integers of their range.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import ResNetDecoder
        >>> decoder = ResNetDecoder((8, 8, 1), maps=4, filters=[4, 8], blocks=1, units=16)
        >>> tuple(decoder(keras.ops.ones((2, 3))).shape)
        (2, 8, 8, 4)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix A (residual; there 4 maps,
        concatenated with the image) and B (densely connected).
    """

    def __init__(
        self,
        image_shape,
        maps=32,
        filters=(32, 48, 64),
        blocks=2,
        units=384,
        code_shape=None,
        block="residual",
        dropout=0.0,
        weight_norm=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(dropout, weight_norm, seed, **kwargs)
        self.image_shape = check_image_shape(image_shape)
        self.maps = check_integer(maps, "maps", least=1)
        self.filters = check_integers(filters, "filters", least=1)
        self.blocks = list(blocks) if isinstance(blocks, (list, tuple)) else blocks
        self.units = check_integer(units, "units", least=1)
        self.code_shape = None if code_shape is None else check_code_shape(code_shape)
        self.block = block
        make_block = block_class(block)
        stages = len(self.filters)
        factor = 2 ** (stages - 1)
        height, width, _ = self.image_shape
        if height % factor or width % factor:
            expected = f"of height and width divisible by {factor}, for {stages} stages"
            refuse("image_shape", expected, self.image_shape)
        self._smallest = (height // factor, width // factor, self.filters[-1])
        options = self._options()
        if self.code_shape is None:
            self._dense = Dense(units, **options)
            self._layout = Dense(math.prod(self._smallest), **options)
        else:
            if self.code_shape[:2] != self._smallest[:2]:
                expected = f"of the height and width of the smallest map, {self._smallest[:2]}"
                refuse("code_shape", expected, self.code_shape)
            self._dense, self._layout = None, Conv2D(self.filters[-1], 3, **options)
        self._blocks = []
        counts = check_blocks(blocks, self.filters)
        for stage in reversed(range(stages)):
            for upsample in [1] * counts[stage] + ([2] if stage else []):
                channels = self.filters[stage - 1 if upsample == 2 else stage]
                block_options = self._block_options(len(self._blocks))
                self._blocks.append(make_block(channels, upsample=upsample, **block_options))
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
        return ops.elu(self._last(elu(h, training)))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.image_shape[:2], self.maps)

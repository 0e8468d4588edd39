import math

import keras
from keras import ops

from vlae_tf.backend import split_sizes
from vlae_tf.checks import check_image_shape, check_integer, check_integers, check_rungs
from vlae_tf.layers import CompositeLayer, Conv2D, Dense, ResidualBlock
from vlae_tf.layers.activations import elu
from vlae_tf.networks.resnet_decoder import ResNetDecoder


@keras.saving.register_keras_serializable(package="vlae_tf")
class ChainDecoder(CompositeLayer):
    """Decoder in steps, each of which redraws the maps of the step before with a part of the code.

        maps_1 = ResNetDecoder(z_1)
        maps_t = m_t * new_t + (1 - m_t) * maps_{t-1},    new_t, m_t = U-Net_t(maps_{t-1}, z_t)

    The U-Net halves the maps down to the smallest, takes in the code there, and doubles them again,
    the maps of the way down added on the way up; m_t is a sigmoid for each pixel and map. A chain
    of one rung is a `ResNetDecoder`. `SequentialELBO` trains every step for itself.

    Args:
        image_shape: `(height, width, channels)`; height and width must be multiples of
            `2 ** (stages - 1)`.
        rungs: sizes of the parts of the code, one a step, in the order of the steps.
        maps: channels of the output, by which the likelihood knows the code.
        filters: channels of each stage, from the full size down.
        blocks: blocks in each stage of the first step beside the doubling one.
        units: size of the dense layer of each step.
        dropout: rate of the dropout inside the blocks.
        weight_norm: whether all layers are weight-normalised.
        seed: seed of the dropout.

    Input shape: `(batch, latent_dim)`; output shape: `(batch, height, width, maps)`, the maps of
    the last step.

    Raises:
        ValueError: if the image cannot be halved that often, for sizes that are not integers of
            their range, or rungs that do not add up to the code.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import ChainDecoder
        >>> decoder = ChainDecoder((8, 8, 1), rungs=[2, 1], maps=4, filters=[4, 8], units=16)
        >>> [tuple(maps.shape) for maps in decoder.chain(keras.ops.ones((2, 3)))]
        [(2, 8, 8, 4), (2, 8, 8, 4)]

    Reference:
        Zhao, Song & Ermon, "Towards Deeper Understanding of Variational Autoencoding Models", 2017,
        section 5; the U-Net with a mask is that of the authors' code.
    """

    def __init__(
        self,
        image_shape,
        rungs,
        maps=16,
        filters=(16, 32, 32),
        blocks=1,
        units=96,
        dropout=0.0,
        weight_norm=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(dropout, weight_norm, seed, **kwargs)
        self.image_shape = check_image_shape(image_shape)
        self.rungs = check_integers(rungs, "rungs", least=1)
        self.maps = check_integer(maps, "maps", least=1)
        self.filters = check_integers(filters, "filters", least=1)
        self.blocks = check_integer(blocks, "blocks", least=0)
        self.units = check_integer(units, "units", least=1)
        options = {"dropout": dropout, **self._options()}
        self._first = ResNetDecoder(image_shape, maps, filters, blocks, units, seed=seed, **options)
        self._steps = [
            _Redraw(
                self.image_shape[:2], maps, self.filters, units,
                seed=None if seed is None else seed + 1000 * step, **options,
            )
            for step in range(1, len(self.rungs))
        ]  # fmt: skip

    def build(self, input_shape):
        check_rungs(self.rungs, input_shape[-1])
        self._first.build((None, self.rungs[0]))
        for step, size in zip(self._steps, self.rungs[1:], strict=True):
            step.build((None, *self.image_shape[:2], self.maps), (None, size))

    def chain(self, code, training=False, stop_gradients=False):
        """The maps of every step, a list of `(batch, height, width, maps)`.

        Args:
            code: codes, `(batch, latent_dim)`.
            training: whether dropout is at work.
            stop_gradients: whether no gradient goes from a step to those before it.
        """
        first, *others = split_sizes(ops.cast(code, self.compute_dtype), self.rungs)
        chain = [self._first(first, training=training)]
        for step, part in zip(self._steps, others, strict=True):
            before = ops.stop_gradient(chain[-1]) if stop_gradients else chain[-1]
            chain.append(step(before, part, training=training))
        return chain

    def call(self, inputs, training=False):
        return self.chain(inputs, training)[-1]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.image_shape[:2], self.maps)


class _Redraw(CompositeLayer):
    """One step: maps and a part of the code to maps."""

    def __init__(self, size, maps, filters, units, dropout, weight_norm, seed, **kwargs):
        super().__init__(dropout, weight_norm, seed, **kwargs)
        self.size, self.maps, self.filters, self.units = size, maps, filters, units
        options, factor = self._options(), 2 ** (len(filters) - 1)
        self._smallest = (size[0] // factor, size[1] // factor, filters[-1])
        self._enter = Conv2D(filters[0], 3, **options)
        self._down = [
            ResidualBlock(channels, strides=2, **self._block_options(stage))
            for stage, channels in enumerate(filters[1:])
        ]
        self._dense = Dense(units, **options)
        self._layout = Dense(math.prod(self._smallest), **options)
        self._merge = ResidualBlock(filters[-1], **self._block_options(100))
        self._up = [
            ResidualBlock(channels, upsample=2, **self._block_options(200 + stage))
            for stage, channels in enumerate(reversed(filters[:-1]))
        ]
        self._last = Conv2D(2 * maps, 3, **options)

    def build(self, maps_shape, code_shape):
        self._enter.build(maps_shape)
        shape = self._enter.compute_output_shape(maps_shape)
        for block in self._down:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self._dense.build(code_shape)
        self._layout.build((None, self.units))
        self._merge.build((*shape[:3], 2 * shape[3]))
        for block in self._up:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self._last.build(shape)
        self.built = True

    def call(self, maps, code, training=False):
        kept = [self._enter(maps)]
        for block in self._down:
            kept.append(block(kept[-1], training=training))
        laid_out = self._layout(ops.elu(self._dense(code)))
        h = ops.concatenate([kept.pop(), ops.reshape(laid_out, (-1, *self._smallest))], axis=-1)
        h = self._merge(h, training=training)
        for block in self._up:
            h = block(h, training=training) + kept.pop()
        new, mask = ops.split(self._last(elu(h, training)), 2, axis=-1)
        mask = ops.sigmoid(mask)
        return mask * new + (1.0 - mask) * maps

    def compute_output_shape(self, maps_shape, code_shape):
        return maps_shape

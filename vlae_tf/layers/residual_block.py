import keras
from keras import ops

from vlae_tf.checks import check_pair
from vlae_tf.layers.activations import elu
from vlae_tf.layers.composite_layer import CompositeLayer
from vlae_tf.layers.conv2d import Conv2D


@keras.saving.register_keras_serializable(package="vlae_tf")
class ResidualBlock(CompositeLayer):
    """Pre-activation residual block of two convolutions.

        y = skip(x) + conv(elu(conv(elu(x))))

    The first convolution changes the size of the map. Where size or channels change, the skip is a
    convolution too, the smallest that does it; elsewhere it is the identity.

    Args:
        filters: number of output channels.
        kernel_size: size of both kernels, an integer or two.
        strides: the map shrinks by this factor.
        upsample: the map grows by this factor.
        dropout: rate of the dropout between the two convolutions.
        weight_norm: whether the convolutions are weight-normalised.
        seed: seed of the dropout.

    Input shape: `(batch, height, width, channels)`; output shape: that of `Conv2D`.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import ResidualBlock
        >>> tuple(ResidualBlock(8, upsample=2)(keras.ops.ones((1, 7, 7, 4))).shape)
        (1, 14, 14, 8)

    Reference:
        He et al., "Identity Mappings in Deep Residual Networks", 2016, equation 3; Chen et al.,
        "Variational Lossy Autoencoder", ICLR 2017, appendix A.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        upsample=1,
        dropout=0.0,
        weight_norm=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(dropout, weight_norm, seed, **kwargs)
        self.filters = filters
        self.kernel_size = check_pair(kernel_size, "kernel_size")
        self.strides = strides
        self.upsample = upsample
        options = self._options()
        self._first = Conv2D(filters, kernel_size, strides=strides, upsample=upsample, **options)
        # A small second convolution makes a deep stack start near the identity.
        self._second = Conv2D(
            filters,
            kernel_size,
            kernel_initializer=keras.initializers.VarianceScaling(0.1),
            init_scale=0.1,
            **options,
        )
        self._skip = None

    def build(self, input_shape):
        self._first.build(input_shape)
        shape = self._first.compute_output_shape(input_shape)
        self._second.build(shape)
        if self.strides != 1 or self.upsample != 1 or input_shape[-1] != self.filters:
            sizes = {"strides": self.strides, "upsample": self.upsample}
            self._skip = Conv2D(self.filters, self.upsample, **sizes, **self._options())
            self._skip.build(input_shape)

    def call(self, inputs, training=False, cache=None):
        h = self._dropped(ops.elu(self._first(elu(inputs, training), cache=cache)), training)
        skip = inputs if self._skip is None else self._skip(inputs, cache=cache)
        return skip + self._second(h, cache=cache)

    def compute_output_shape(self, input_shape):
        return self._first.compute_output_shape(input_shape)

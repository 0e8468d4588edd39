import keras
from keras import ops

from vlae_tf.checks import check_integer
from vlae_tf.layers.activations import elu
from vlae_tf.layers.composite_layer import CompositeLayer
from vlae_tf.layers.conv2d import Conv2D


@keras.saving.register_keras_serializable(package="vlae_tf")
class DenseBlock(CompositeLayer):
    """Densely connected block: each convolution sees all that the ones before it have made.

        h_0 = x,    h_k = [h_{k-1}, conv_k(elu(h_{k-1}))]    for k = 1..steps,    y = W elu(h_steps)

    With `strides` or `upsample`, a 3x3 convolution that shrinks or grows the map comes first. It
    takes the place of two residual blocks, and overfits less.

    Args:
        filters: number of output channels.
        steps: number of convolutions; the paper has 3.
        growth: channels that each of them adds; half of `filters` unless given.
        kernel_size: size of their kernels, an integer or two.
        strides: the map shrinks by this factor.
        upsample: the map grows by this factor.
        dropout: rate of the dropout of what each convolution adds.
        weight_norm: whether the convolutions are weight-normalised.
        seed: seed of the dropout.

    Input shape: `(batch, height, width, channels)`; output shape: `(batch, height / strides *
    upsample, width / strides * upsample, filters)`.

    Raises:
        ValueError: for `filters`, `steps` or `growth` that are not positive integers.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import DenseBlock
        >>> tuple(DenseBlock(6, strides=2)(keras.ops.ones((1, 8, 8, 4))).shape)
        (1, 4, 4, 6)

    Reference:
        Huang et al., "Densely Connected Convolutional Networks", 2017, section 3; Chen et al.,
        "Variational Lossy Autoencoder", ICLR 2017, appendix B.
    """

    def __init__(
        self,
        filters,
        steps=3,
        growth=None,
        kernel_size=3,
        strides=1,
        upsample=1,
        dropout=0.0,
        weight_norm=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(dropout, weight_norm, seed, **kwargs)
        self.filters = check_integer(filters, "filters", least=1)
        self.steps = check_integer(steps, "steps", least=1)
        growth = max(filters // 2, 1) if growth is None else growth
        self.growth = check_integer(growth, "growth", least=1)
        self.kernel_size = kernel_size
        self.strides = strides
        self.upsample = upsample
        options = self._options()
        self._resize = None
        if (strides, upsample) != (1, 1):
            self._resize = Conv2D(filters, 3, strides=strides, upsample=upsample, **options)
        self._convolutions = [Conv2D(self.growth, kernel_size, **options) for _ in range(steps)]
        self._output = Conv2D(filters, 1, **options)

    def build(self, input_shape):
        if self._resize is not None:
            self._resize.build(input_shape)
            input_shape = self._resize.compute_output_shape(input_shape)
        *place, channels = input_shape
        for convolution in self._convolutions:
            convolution.build((*place, channels))
            channels += self.growth
        self._output.build((*place, channels))

    def call(self, inputs, training=False):
        h = inputs if self._resize is None else self._resize(elu(inputs, training))
        # What is there already need not go through the activation again in each step.
        activated = elu(h, training)
        for convolution in self._convolutions:
            added = self._dropped(convolution(activated), training)
            activated = ops.concatenate([activated, elu(added, training)], axis=-1)
        return self._output(activated)

    def compute_output_shape(self, input_shape):
        if self._resize is not None:
            input_shape = self._resize.compute_output_shape(input_shape)
        return (*input_shape[:-1], self.filters)

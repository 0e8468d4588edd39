import keras
from keras import ops

from vlae_tf.layers.activations import elu
from vlae_tf.layers.conv2d import Conv2D


@keras.saving.register_keras_serializable(package="vlae_tf")
class DenseBlock(keras.layers.Layer):
    """Densely connected block: each convolution sees all that the ones before it have made.

        h_0 = x,    h_k = [h_{k-1}, conv_k(elu(h_{k-1}))]    for k = 1..steps,    y = W elu(h_steps)

    With `strides` or `upsample`, a 3x3 convolution that shrinks or grows the map comes first. It
    takes the place of two residual blocks, and overfits less.

    Args:
        filters: number of output channels.
        steps: number of convolutions; the paper has 3.
        growth: channels that each of them adds; half of `filters` unless given.
        kernel_size: of the convolutions.
        strides: factor by which the map shrinks.
        upsample: factor by which it grows.
        dropout: rate on what each convolution adds.
        weight_norm: whether the convolutions are weight-normalised.
        seed: of the dropout.

    Input shape: `(batch, height, width, channels)`; output shape: `(batch, height / strides *
    upsample, width / strides * upsample, filters)`.

    Raises:
        ValueError: for fewer than one step, or a growth that is not positive.

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
        super().__init__(**kwargs)
        self.filters = filters
        self.steps = steps
        self.growth = max(filters // 2, 1) if growth is None else growth
        if steps < 1 or self.growth < 1:
            raise ValueError(
                "`steps` and `growth` must be positive. "
                f"Received: steps={steps!r}, growth={growth!r}"
            )
        self.kernel_size = kernel_size
        self.strides = strides
        self.upsample = upsample
        self.dropout = dropout
        self.weight_norm = weight_norm
        self.seed = seed
        options = {"weight_norm": weight_norm, "dtype": self.dtype_policy}
        self._resize = None
        if (strides, upsample) != (1, 1):
            self._resize = Conv2D(filters, 3, strides=strides, upsample=upsample, **options)
        self._convolutions = [Conv2D(self.growth, kernel_size, **options) for _ in range(steps)]
        self._drop = (
            keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy) if dropout else None
        )
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
        h = inputs if self._resize is None else self._resize(elu(inputs))
        # What is there already need not go through the activation again in each step.
        activated = elu(h)
        for convolution in self._convolutions:
            added = convolution(activated)
            if self._drop is not None:
                added = self._drop(added, training=training)
            activated = ops.concatenate([activated, elu(added)], axis=-1)
        return self._output(activated)

    def compute_output_shape(self, input_shape):
        if self._resize is not None:
            input_shape = self._resize.compute_output_shape(input_shape)
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "steps": self.steps,
            "growth": self.growth,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "upsample": self.upsample,
            "dropout": self.dropout,
            "weight_norm": self.weight_norm,
            "seed": self.seed,
        }

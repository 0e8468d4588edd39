import math

import keras
from keras import ops

from vlae_tf.checks import (
    check_activation,
    check_choice,
    check_code_shape,
    check_flag,
    check_integer,
    refuse,
)
from vlae_tf.layers.activations import activate
from vlae_tf.layers.configured_layer import ConfiguredLayer
from vlae_tf.layers.masked_conv2d import MaskedConv2D
from vlae_tf.layers.wavefront import ReceptiveField, Wavefront


@keras.saving.register_keras_serializable(package="vlae_tf")
class ConvMADE(ConfiguredLayer):
    """MADE over a spatial code, made of masked convolutions.

        shift_i, log_scale_i = f_i(x_<i)        (mean-only: no log_scale, the flow keeps volume)

    The code is laid out as a map, and taken position by position in raster order; at a position its
    channels fall into `groups`, each of which sees those before it. The rest is that of `MADE`.

    Args:
        code_shape: `(height, width, channels)`; the paper's for CIFAR-10 is (8, 8, 16).
        filters: number of channels of the hidden layers.
        hidden_layers: number of them, at least 1.
        kernel_size: size of the masked kernels, an integer or two; the height is odd.
        groups: number of channel groups at a position; it divides `channels` and `filters`. With 1
            the channels of a position are independent given what came before. The number of steps
            of drawing a code is proportional to it.
        mean_only: whether only the shift is made. The paper found mean-only flows more stable.
        order: "forward", or "reverse" for the opposite order of positions and channels.
        activation: activation of the hidden layers.
        weight_norm: whether the kernels are weight-normalised.

    Input shape: `(batch, d)`, d the product of `code_shape`. Output shape: a pair
    `(shift, log_scale)`, each `(batch, d)`; `log_scale` is None for a mean-only flow. The outputs
    start near 0, so that the flow starts near the identity.

    Raises:
        ValueError: for an invalid shape or order, no hidden layer, or channels that do not fall
            into groups.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import ConvMADE
        >>> shift, log_scale = ConvMADE((4, 4, 2), filters=8)(keras.ops.ones((3, 32)))
        >>> tuple(shift.shape), log_scale
        ((3, 32), None)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix B; Kingma et al.,
        "Improving Variational Inference with Inverse Autoregressive Flow", 2016, section 5.
    """

    def __init__(
        self,
        code_shape,
        filters=128,
        hidden_layers=2,
        kernel_size=3,
        groups=1,
        mean_only=True,
        order="forward",
        activation="elu",
        weight_norm=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.code_shape = check_code_shape(code_shape)
        self.filters = filters
        self.hidden_layers = check_integer(hidden_layers, "hidden_layers", least=1)
        self.kernel_size = kernel_size
        self.groups = check_integer(groups, "groups", least=1)
        channels = self.code_shape[-1]
        if channels % groups:
            refuse("groups", f"a divisor of the code's {channels} channels", groups)
        self.mean_only = check_flag(mean_only, "mean_only")
        self.order = check_choice(order, "order", ("forward", "reverse"))
        self.activation = check_activation(activation)
        self.weight_norm = check_flag(weight_norm, "weight_norm")
        options = {"groups": groups, "weight_norm": weight_norm, "dtype": self.dtype_policy}
        self._hidden = [
            MaskedConv2D(filters, kernel_size, mask_type="B" if index else "A", **options)
            for index in range(hidden_layers)
        ]
        taps = math.prod(self._hidden[0].kernel_size)
        self._output = MaskedConv2D(
            channels if mean_only else 2 * channels,
            kernel_size,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01 / math.sqrt(taps)),
            init_scale=0.1,
            **options,
        )

    @property
    def event_size(self):
        return math.prod(self.code_shape)

    def build(self, x_shape):
        shape = (None, *self.code_shape)
        for layer in self._hidden:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self._output.build(shape)

    def call(self, x):
        # Several codes of each image, `(samples, batch, d)`, keep their places.
        shape = (-1, *ops.shape(x)[1:])
        shift, log_scale = (
            None if maps is None else ops.reshape(self._flat(maps), shape)
            for maps in self._maps(self._laid_out(x))
        )
        return shift, log_scale

    def from_noise(self, noise):
        """The flow's forward direction: `x` with `x = noise * exp(log_scale(x)) + shift(x)`.

        All positions of a wavefront at once, one group of channels after the other: for the paper's
        code 22 steps a group in place of 64.
        """
        height, width, _ = self.code_shape
        kernels = [layer.kernel_size for layer in (*self._hidden, self._output)]
        noise = self._laid_out(noise)

        def transformed(x):
            shift, log_scale = self._maps(x)
            return shift + (noise if log_scale is None else noise * ops.exp(log_scale))

        # A group is right once those before it are, and is then made again, to the same values.
        front = Wavefront(height, width, ReceptiveField.of_stack(kernels).slope)
        return self._flat(front.fill(transformed, ops.zeros_like(noise), rounds=self.groups))

    def _maps(self, x):
        for layer in self._hidden:
            x = activate(self.activation, layer(x))
        outputs = self._output(x)
        if self.mean_only:
            return outputs, None
        # Both parameters of a channel are in its group.
        height, width, channels = self.code_shape
        shape = (-1, height, width, self.groups, 2, channels // self.groups)
        shift, log_scale = ops.unstack(ops.reshape(outputs, shape), axis=4)
        shape = (-1, *self.code_shape)
        return ops.reshape(shift, shape), ops.reshape(log_scale, shape)

    def _laid_out(self, x):
        x = ops.reshape(x, (-1, *self.code_shape))
        return _flipped(x) if self.order == "reverse" else x

    def _flat(self, x):
        x = _flipped(x) if self.order == "reverse" else x
        return ops.reshape(x, (-1, self.event_size))

    def compute_output_spec(self, x):
        output = keras.KerasTensor((*x.shape[:-1], self.event_size), dtype=self.compute_dtype)
        return output, None if self.mean_only else output


def _flipped(x):
    """`x` in the opposite order along all of its axes; OpenVINO turns one at a time."""
    for axis in (1, 2, 3):
        x = ops.flip(x, axis=axis)
    return x

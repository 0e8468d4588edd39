import keras
from keras import ops

from vlae_tf.checks import check_integer, check_pair, refuse
from vlae_tf.layers.kernel_layer import KernelLayer


@keras.saving.register_keras_serializable(package="vlae_tf")
class Conv2D(KernelLayer):
    """Convolution with "same" padding that can shrink (`strides`) or enlarge (`upsample`) the map.

        y[i, j] = b + sum over (di, dj) of x[strides * i + di, strides * j + dj] W[di, dj]

    Upsampling is a transposed convolution, which costs a quarter of convolving the enlarged map.

    Args:
        filters: number of output channels.
        kernel_size: height and width of the kernel, an integer or two.
        strides: the map shrinks by this factor.
        upsample: the map grows by this factor; only one of the two may be more than 1.
        **kwargs: arguments of `KernelLayer`.

    Input shape: `(batch, height, width, channels)`. Output shape: `(batch, height / strides, width
    / strides, filters)`, rounded up, or `(batch, height * upsample, width * upsample, filters)`.

    Raises:
        ValueError: for a size that is not a positive integer, or both `strides` and `upsample`
            above 1.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import Conv2D
        >>> tuple(Conv2D(8, 3, strides=2)(keras.ops.ones((1, 28, 28, 1))).shape)
        (1, 14, 14, 8)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix A; Salimans & Kingma,
        "Weight Normalization", 2016, equation 2.
    """

    def __init__(self, filters, kernel_size, strides=1, upsample=1, **kwargs):
        super().__init__(**kwargs)
        self.filters = check_integer(filters, "filters", least=1)
        self.kernel_size = check_pair(kernel_size, "kernel_size")
        self.strides = check_integer(strides, "strides", least=1)
        self.upsample = check_integer(upsample, "upsample", least=1)
        if strides > 1 and upsample > 1:
            received = f"strides={strides}, upsample={upsample}"
            refuse("strides", "1 where `upsample` is more", strides, received)

    def kernel_shape(self, input_shape):
        return (*self.kernel_size, input_shape[-1], self.filters)

    def apply_kernel(self, inputs, kernel):
        options = {"padding": "same", "data_format": "channels_last"}
        if self.kernel_size == (1, 1) and self.strides > 1:
            # The same, but the gradient of a strided 1x1 convolution of few channels writes past
            # its memory in oneDNN (uxlfoundation/oneDNN#6035).
            return ops.conv(inputs[:, :: self.strides, :: self.strides], kernel, **options)
        if self.upsample == 1:
            return ops.conv(inputs, kernel, strides=self.strides, **options)
        kernel = ops.transpose(kernel, (0, 1, 3, 2))
        return ops.conv_transpose(inputs, kernel, strides=self.upsample, **options)

    def _column(self, column, cache):
        if (*self.kernel_size, self.strides, self.upsample) != (1, 1, 1, 1):
            raise ValueError(
                "A convolution without a mask must be 1x1 to run along a wavefront. Received: "
                f"kernel_size={self.kernel_size}, strides={self.strides}, upsample={self.upsample}"
            )
        return super()._column(column, cache)

    def compute_output_shape(self, input_shape):
        sizes = [
            None if size is None else -(-size // self.strides) * self.upsample
            for size in input_shape[1:3]
        ]
        return (input_shape[0], *sizes, self.filters)

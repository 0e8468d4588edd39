import numpy as np
from keras import ops

from vlae_tf.backend import add_bias, full_precision
from vlae_tf.checks import check_flag, check_initializer
from vlae_tf.layers.configured_layer import ConfiguredLayer

_EPSILON = 1e-12


class KernelLayer(ConfiguredLayer):
    """A linear layer `y = op(x, W) + b` whose kernel may be masked and weight-normalised.

    The one place that knows how a kernel is made. With a constant mask M and weight normalisation

        W = g * (M * V) / ||M * V||        (norm over all axes but the last, one g for each output)

    and `W = M * V` without. The mask is multiplied in at every call, so what it forbids is exactly
    zero from the first step on. Subclasses define the kernel's shape, its mask and the operation.

    With weight normalisation, `initialize_from_data` sets g and b so that on one batch every
    output has mean 0 and standard deviation `init_scale`.

    Args:
        use_bias: whether to add b.
        weight_norm: whether to normalise the kernel.
        init_scale: standard deviation of the outputs after data-dependent initialisation.
        kernel_initializer: initialiser of V.

    Reference:
        Salimans & Kingma, "Weight Normalization", 2016, equations 2 and 6; Chen et al.,
        "Variational Lossy Autoencoder", ICLR 2017, appendix A (used in every layer there).
    """

    def __init__(
        self,
        use_bias=True,
        weight_norm=False,
        init_scale=1.0,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.use_bias = check_flag(use_bias, "use_bias")
        self.weight_norm = check_flag(weight_norm, "weight_norm")
        self.init_scale = init_scale
        self.kernel_initializer = check_initializer(kernel_initializer)
        self.initializing_from_data = False

    def kernel_shape(self, input_shape):
        raise NotImplementedError

    def kernel_mask(self, shape):
        """A NumPy array that broadcasts against the kernel, or None."""
        return None

    def apply_kernel(self, inputs, kernel):
        raise NotImplementedError

    def build(self, input_shape):
        shape = self.kernel_shape(input_shape)
        mask = self.kernel_mask(shape)
        # Booleans: a mask is written into every graph that uses it, and those of MADE are large.
        self._mask = None if mask is None else np.asarray(mask, bool)
        # Masked and normalised in full precision; only the result is cast to the compute dtype.
        self._kernel = self.add_weight(
            shape=shape, initializer=self.kernel_initializer, autocast=False, name="kernel"
        )
        if self.weight_norm:
            # Starting from the norm itself, the layer begins as the plain one would.
            self.gain = self.add_weight(
                shape=shape[-1:],
                initializer=lambda *args, **kwargs: ops.sqrt(self._squared_norm()),
                autocast=False,
                name="gain",
            )
        if self.use_bias:
            self.bias = self.add_weight(shape=shape[-1:], initializer="zeros", name="bias")

    def _masked_kernel(self):
        kernel = ops.convert_to_tensor(self._kernel)
        return kernel if self._mask is None else kernel * ops.cast(self._mask, kernel.dtype)

    def _squared_norm(self):
        kernel = self._masked_kernel()
        return ops.sum(ops.square(kernel), axis=list(range(kernel.ndim - 1))) + _EPSILON

    @property
    def kernel(self):
        """The kernel in use: masked, and normalised where asked for."""
        kernel = self._masked_kernel()
        if self.weight_norm:
            kernel = kernel * (ops.convert_to_tensor(self.gain) * ops.rsqrt(self._squared_norm()))
        return kernel

    def zero_masked(self):
        """Sets the weights to zero that the mask multiplies away; outputs stay as they were."""
        if self._mask is not None:
            kernel = ops.convert_to_tensor(self._kernel)
            self._kernel.assign(ops.where(self._mask, kernel, 0.0))

    def call(self, inputs, cache=None):
        if self.initializing_from_data:
            self._initialize_from(inputs)
        outputs = self._linear(inputs) if cache is None else self._column(inputs, cache)
        return add_bias(outputs, self.bias) if self.use_bias else outputs

    def _linear(self, inputs):
        return self.apply_kernel(inputs, ops.cast(self.kernel, self.compute_dtype))

    def _column(self, column, cache):
        """The layer on one column of a wavefront (`ColumnCache`), at each pixel by itself."""
        return self._sum_of_products([column], [cache.constant(lambda: self._tap(0, 0))])

    def _tap(self, row, column):
        """The kernel at one place, `(channels, filters)`."""
        # As a convolution in half precision has it: rounded factors, summed in full precision.
        return full_precision(ops.cast(self.kernel[row, column], self.compute_dtype))

    def _sum_of_products(self, columns, matrices):
        # One product for each tap: to join the columns of 64 images takes longer than to multiply
        # them one by one (for one image it is the other way round).
        products = [
            ops.matmul(full_precision(ops.reshape(column, (-1, column.shape[-1]))), matrix)
            for column, matrix in zip(columns, matrices, strict=True)
        ]
        shape = (-1, columns[0].shape[1], 1, matrices[0].shape[-1])
        return ops.cast(ops.reshape(sum(products[1:], products[0]), shape), self.compute_dtype)

    def _initialize_from(self, inputs):
        self.gain.assign(ops.ones(self.gain.shape))
        outputs = full_precision(self._linear(inputs))
        axes = list(range(outputs.ndim - 1))
        mean, deviation = ops.mean(outputs, axis=axes), ops.std(outputs, axis=axes)
        # An output that the mask cuts off from its inputs has nothing to be scaled by.
        alive = deviation > 1e-6
        gain = ops.where(alive, self.init_scale / ops.where(alive, deviation, 1.0), 1.0)
        self.gain.assign(gain)
        if self.use_bias:
            self.bias.assign(ops.where(alive, -mean * gain, 0.0))
        # A layer that is used several times (tied weights) is set by its first use alone.
        self.initializing_from_data = False

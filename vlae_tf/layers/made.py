import keras
import numpy as np
from keras import ops

from vlae_tf.backend import scan
from vlae_tf.checks import check_activation, check_flag, check_integer, check_integers, refuse
from vlae_tf.layers.activations import activate
from vlae_tf.layers.configured_layer import ConfiguredLayer
from vlae_tf.layers.masked_dense import MaskedDense


@keras.saving.register_keras_serializable(package="vlae_tf")
class MADE(ConfiguredLayer):
    """Masked autoencoder: output i is a function of the inputs that come before input i.

        shift_i, log_scale_i = f_i(x_<i)        (mean-only: no log_scale, the flow keeps volume)

    Every unit has a degree; a connection is kept where the degree does not fall (hidden) or
    strictly rises (output), so that d shift_i / d x_j = 0 unless input j comes before input i.
    Given to `tfb.MaskedAutoregressiveFlow` as its `shift_and_log_scale_fn`, it makes an
    autoregressive flow.

    Args:
        event_size: number of inputs, d.
        hidden_units: sizes of the hidden layers; any depth. With fewer than d - 1 units in a layer
            some outputs do not see the last inputs before them.
        mean_only: whether only the shift is made. The paper found mean-only flows more stable.
        order: "forward", "reverse", or a permutation of 0..d-1: the rank of each input.
        activation: activation of the hidden layers.
        context_size: number of features of an optional context that every output may see.
        weight_norm: whether the kernels are weight-normalised.

    Call arguments: `x` of shape `(batch, d)`, and `context` of shape `(batch, context_size)` if
    there is one. Output shape: a pair `(shift, log_scale)`, each `(batch, d)`; `log_scale` is None
    for a mean-only flow. The outputs start near 0, so that the flow starts near the identity.

    Raises:
        ValueError: for invalid sizes, an order that is not a permutation, or a context that is
            missing or not expected.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import MADE
        >>> shift, log_scale = MADE(4, [16, 16], mean_only=True)(keras.ops.ones((2, 4)))
        >>> tuple(shift.shape), log_scale
        ((2, 4), None)

    Reference:
        Germain et al., "MADE", 2015, equations 12 and 13; Chen et al., "Variational Lossy
        Autoencoder", ICLR 2017, section 3.2 and appendix A.
    """

    def __init__(
        self,
        event_size,
        hidden_units,
        mean_only=True,
        order="forward",
        activation="relu",
        context_size=0,
        weight_norm=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.event_size = check_integer(event_size, "event_size", least=1)
        self.hidden_units = check_integers(hidden_units, "hidden_units", least=1)
        self.mean_only = check_flag(mean_only, "mean_only")
        self.order = order if isinstance(order, str) else [int(rank) for rank in order]
        self.activation = check_activation(activation)
        self.context_size = check_integer(context_size, "context_size", least=0)
        self.weight_norm = check_flag(weight_norm, "weight_norm")

        ranks = _ranks(order, event_size)
        options = {"weight_norm": weight_norm, "dtype": self.dtype_policy}
        self._ranks = ranks
        degrees, self._hidden, self._degrees, self._context = ranks, [], [], []
        for units in self.hidden_units:
            hidden = _hidden_degrees(units, event_size)
            mask = degrees[:, None] <= hidden[None, :]
            self._hidden.append(MaskedDense(units, mask=mask, **options))
            self._degrees.append(hidden)
            if context_size:
                self._context.append(
                    keras.layers.Dense(units, use_bias=False, dtype=self.dtype_policy)
                )
            degrees = hidden
        mask = degrees[:, None] < ranks[None, :]
        outputs = 1 if mean_only else 2
        self._output = MaskedDense(
            outputs * event_size,
            mask=np.tile(mask, (1, outputs)),
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01 / np.sqrt(units)),
            init_scale=0.1,
            **options,
        )
        # The first output sees no other input: the context must reach it directly.
        self._output_context = (
            keras.layers.Dense(
                outputs * event_size,
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                dtype=self.dtype_policy,
            )
            if context_size
            else None
        )

    def build(self, x_shape, context_shape=None):
        shape = (None, self.event_size)
        for index, layer in enumerate(self._hidden):
            layer.build(shape)
            shape = (None, layer.units)
            if self.context_size:
                self._context[index].build((None, self.context_size))
        self._output.build(shape)
        if self.context_size:
            self._output_context.build((None, self.context_size))

    def call(self, x, context=None):
        if (context is None) != (not self.context_size):
            raise ValueError(
                "`context` must be given if and only if `context_size` is positive, which is "
                f"{self.context_size} here. Received: context={context!r}"
            )
        h = x
        for index, layer in enumerate(self._hidden):
            h = layer(h)
            if context is not None:
                h = h + self._context[index](context)
            h = activate(self.activation, h)
        outputs = self._output(h)
        if context is not None:
            outputs = outputs + self._output_context(context)
        if self.mean_only:
            return outputs, None
        shift, log_scale = ops.split(outputs, 2, axis=-1)
        return shift, log_scale

    def from_noise(self, noise):
        """The flow's forward direction, one input after the other: `x` with

            x_i = noise_i exp(log_scale_i(x_<i)) + shift_i(x_<i)

        A unit of degree r is known as soon as the first r + 1 inputs are: each step computes what
        is new and adds it to the sums of the layer above, so that all d steps together cost one
        call of the layer.

        Args:
            noise: float32 `(batch, d)`.

        Returns:
            `x`, of the same shape.
        """
        if self.context_size:
            raise ValueError(
                "Noise can be transformed only without a context. "
                f"Received: context_size={self.context_size}"
            )
        layers = [*self._hidden, self._output]
        order, rows = np.argsort(self._ranks), ops.shape(noise)[0]
        # The units of a layer by their degrees, so that what a step makes lies together.
        outputs = order[:, None] + self.event_size * np.arange(1 if self.mean_only else 2)
        units = [_units_of_degrees(degrees, self.event_size) for degrees in self._degrees]
        units = [order[:, None], *units, outputs]
        kernels = [
            _by_degrees(layer.kernel, rows, columns)
            for layer, rows, columns in zip(layers, units[:-1], units[1:], strict=True)
        ]
        biases = [
            ops.take(ops.convert_to_tensor(layer.bias), np.maximum(columns, 0).reshape(-1))
            for layer, columns in zip(layers, units[1:], strict=True)
        ]

        def of_degree(index, sums, degree):
            count = units[index + 1].shape[1]
            # Both starts are of one type: JAX asks for it.
            return ops.slice(sums, (ops.zeros_like(degree), degree * count), (rows, count))

        def step(sums, inputs):
            degree, noise, *kernels = inputs
            sums, parameters = list(sums), of_degree(len(kernels) - 1, sums[-1], degree)
            new = noise + parameters[:, :1]
            if not self.mean_only:
                new = new + noise * (ops.exp(parameters[:, 1:]) - 1.0)
            x = new
            for index, kernel in enumerate(kernels):
                sums[index] += ops.matmul(new, kernel)
                if index < len(kernels) - 1:
                    new = activate(self.activation, of_degree(index, sums[index], degree))
            return sums, x

        batch = ops.zeros_like(noise[:, :1])
        noise = ops.take(ops.transpose(noise), order, axis=0)[..., None]
        degrees = np.arange(self.event_size, dtype="int32")
        sums = [batch + bias for bias in biases]
        _, x = scan(step, sums, [degrees, noise, *kernels], noise.dtype)
        return ops.take(ops.transpose(x[..., 0]), self._ranks, axis=1)

    def compute_output_spec(self, x, context=None):
        output = keras.KerasTensor((*x.shape[:-1], self.event_size), dtype=self.compute_dtype)
        return output, None if self.mean_only else output


def _hidden_degrees(units, event_size):
    """Degrees 0..d-2 in equal shares: a unit of degree d-1 could reach no output."""
    last = max(event_size - 2, 0)
    if units > last:
        return np.arange(units) % (last + 1)
    return np.linspace(0, last, units).round().astype(int)


def _units_of_degrees(degrees, event_size):
    """The units of each degree 0..d-1, `(d, most)`, filled up with -1."""
    units = [np.flatnonzero(degrees == degree) for degree in range(event_size)]
    most = max(map(len, units))
    filled = [np.pad(row, (0, most - len(row)), constant_values=-1) for row in units]
    return np.stack(filled).astype("int32")


def _by_degrees(kernel, rows, columns):
    """The kernel between units of each degree, `(d, most in, d * most out)`: zero where a row is
    -1."""
    kernel = ops.take(kernel, np.maximum(rows, 0).reshape(-1), axis=0)
    kernel = ops.take(kernel, np.maximum(columns, 0).reshape(-1), axis=1)
    kernel = ops.reshape(kernel, (*rows.shape, columns.size))
    return kernel * ops.cast(rows[..., None] >= 0, kernel.dtype)


def _ranks(order, event_size):
    """The rank of each input, 0 for the one that comes first."""
    if isinstance(order, str) and order in ("forward", "reverse"):
        return np.arange(event_size)[:: 1 if order == "forward" else -1]
    if isinstance(order, str) or sorted(order) != list(range(event_size)):
        refuse("order", f"'forward', 'reverse', or a permutation of 0..{event_size - 1}", order)
    return np.asarray(order)

import numpy as np
from keras import ops

from vlae_tf.backend import TensorShape, full_precision, tanh, tfd, tfp
from vlae_tf.checks import check_integer

# The least logarithm of a scale, on the -1..1 scale of pixels: a ninth of a level of 256.
_LEAST_LOG_SCALE = -7.0


class DiscretisedLogisticMixture(tfd.Distribution):
    """Mixture of discretised logistics over a pixel's channels, which are coupled linearly.

        p(x) = sum_k pi_k prod_c [ F((y_c + h - m_kc) / s_kc) - F((y_c - h - m_kc) / s_kc) ]
        m_k1 = loc_k1,    m_k2 = loc_k2 + a_k y_1,    m_k3 = loc_k3 + b_k y_1 + c_k y_2

    with F the sigmoid, y = 2 x / (levels - 1) - 1, the levels on -1..1, and h = 1 / (levels - 1),
    half the distance between two levels. The lowest level has all the mass below it, the highest
    all the mass above. The difference is computed as a product, in which nothing cancels:

        F(u) - F(l) = F(u) F(-l) (1 - exp(l - u))

    Args:
        logits: logits of the mixture's weights pi, `(..., components)`.
        loc: locations, `(..., channels, components)`.
        log_scale: logarithms of the scales s, `(..., channels, components)`; values below -7 count
            as -7.
        coefficients: coefficients a, b, c of the coupling, `(..., channels (channels - 1) / 2,
            components)`, row by row of the triangle; None leaves the channels of a component
            independent.
        levels: number of values of a channel.

    Shapes: batch `(...,)`, event `(channels,)`; `log_prob` takes x of 0..levels-1, float or
    integer, and is in nats, float32.

    Raises:
        ValueError: for parameters of shapes that do not fit together.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import DiscretisedLogisticMixture
        >>> size = DiscretisedLogisticMixture.parameter_count(channels=3, components=10)
        >>> p = DiscretisedLogisticMixture.of_parameters(keras.ops.zeros((8, 8, size)), 3)
        >>> tuple(p.log_prob(keras.ops.ones((8, 8, 3))).shape)
        (8, 8)

    Reference:
        Salimans et al., "PixelCNN++", 2017, equations 1 to 3.
    """

    def __init__(
        self,
        logits,
        loc,
        log_scale,
        coefficients=None,
        levels=256,
        name="DiscretisedLogisticMixture",
    ):
        parameters = dict(locals())
        self.logits = full_precision(logits)
        self.loc = full_precision(loc)
        self.log_scale = ops.maximum(full_precision(log_scale), _LEAST_LOG_SCALE)
        self.coefficients = None if coefficients is None else full_precision(coefficients)
        self.levels = levels
        self._check_shapes()
        super().__init__(
            dtype=self.logits.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def _check_shapes(self):
        channels, components = self.loc.shape[-2], self.logits.shape[-1]
        pairs = channels * (channels - 1) // 2
        for name, rows in {"loc": channels, "log_scale": channels, "coefficients": pairs}.items():
            tensor = getattr(self, name)
            if tensor is not None and tuple(tensor.shape[-2:]) != (rows, components):
                raise ValueError(
                    f"`{name}` must have shape (..., {rows}, {components}), for the {channels} "
                    f"channels of `loc` and the {components} components of `logits`. "
                    f"Received: {name} with shape {tuple(tensor.shape)}"
                )

    @staticmethod
    def parameter_count(channels, components):
        """Number of parameters of a pixel, as `of_parameters` takes them."""
        check_integer(components, "components", 1)
        pairs = channels * (channels - 1) // 2
        return components * (1 + 2 * channels + pairs)

    @classmethod
    def of_parameters(cls, parameters, channels, levels=256):
        """The mixture of a network's outputs, `(..., parameter_count(channels, components))`.

        They are logits, means, log_scale and coefficients in this order; the coefficients go
        through a tanh. A channel's mean o is given as if the channel stood alone. The coupling adds
        how far the channels before are from their means:

            m_k2 = o_k2 + a_k (y_1 - o_k1),    so that loc_k2 = o_k2 - a_k o_k1, and so on.

        The mixtures are the same, but a network learns them sooner than from loc: a coefficient can
        change while the means stay.

        Raises:
            ValueError: if no number of components has this many parameters.
        """
        per_component = cls.parameter_count(channels, 1)
        size = parameters.shape[-1]
        components, rest = divmod(size, per_component)
        if rest or not components:
            raise ValueError(
                f"`parameters` must have a multiple of {per_component} channels, for "
                f"{channels} channels of a pixel. Received: {size} channels"
            )
        ends = np.cumsum([1, channels, channels]) * components
        logits, means, log_scale, coefficients = ops.split(parameters, ends.tolist(), axis=-1)
        shape = parameters.shape[:-1]
        shape = tuple(ops.shape(parameters)[i] if n is None else n for i, n in enumerate(shape))

        def by_component(tensor, rows):
            return ops.reshape(tensor, (*shape, rows, components))

        means, log_scale = by_component(means, channels), by_component(log_scale, channels)
        if channels == 1:
            return cls(logits, means, log_scale, None, levels)
        coefficients = tanh(by_component(coefficients, channels * (channels - 1) // 2))
        loc = means - _coupling(means, coefficients)
        return cls(logits, loc, log_scale, coefficients, levels)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        matrix = tfp.util.ParameterProperties(event_ndims=2)
        return {
            "logits": tfp.util.ParameterProperties(event_ndims=1),
            "loc": matrix,
            "log_scale": matrix,
            "coefficients": matrix,
        }

    def _event_shape(self):
        return TensorShape(self.loc.shape[-2:-1])

    def _event_shape_tensor(self):
        return [self.loc.shape[-2]]

    def _log_prob(self, x):
        x = ops.cast(x, self.loc.dtype)[..., None]
        y, half = self._scaled(x), 1.0 / (self.levels - 1)
        inverse_scale = ops.exp(-self.log_scale)
        distance = self._distances(y)
        lower, upper = (distance - half) * inverse_scale, (distance + half) * inverse_scale
        lowest, highest = ops.equal(x, 0.0), ops.equal(x, self.levels - 1.0)
        # The lowest level's lower edge is minus infinity, the highest's upper edge plus infinity.
        log_prob = ops.where(highest, 0.0, -ops.softplus(-upper))
        log_prob = log_prob + ops.where(lowest, 0.0, -ops.softplus(lower))
        inside = ops.log(-ops.expm1(-2.0 * half * inverse_scale))
        log_prob = log_prob + ops.where(ops.logical_or(lowest, highest), 0.0, inside)
        weights = ops.log_softmax(self.logits, axis=-1)
        return ops.logsumexp(weights + ops.sum(log_prob, axis=-2), axis=-1)

    def _sample_n(self, n, seed=None):
        shape = (n, *ops.shape(self.logits)[:-1], self.loc.shape[-2] + 1)
        return self.from_noise(tfd.Uniform(0.0, 1.0).sample(shape, seed=seed))

    def from_noise(self, uniform):
        """The pixel at uniform noise, `(..., channels + 1)`: one for the component, one a channel.

        Deterministic: the noise through the inverse of the logistic's distribution function,
        rounded to the nearest level.
        """
        uniform = ops.cast(uniform, self.loc.dtype)
        cumulative = ops.cumsum(ops.softmax(self.logits, axis=-1), axis=-1)
        # The last sum may be less than one by a rounding.
        passed = ops.cast(cumulative[..., :-1] <= uniform[..., :1], "int32")
        chosen = ops.one_hot(ops.sum(passed, axis=-1), self.logits.shape[-1], dtype=self.loc.dtype)

        def of_component(tensor):
            return ops.sum(tensor * chosen[..., None, :], axis=-1)

        loc, scale = of_component(self.loc), ops.exp(of_component(self.log_scale))
        noise = ops.clip(uniform[..., 1:], 1e-7, 1.0 - 1e-7)
        noise = ops.log(noise) - ops.log1p(-noise)
        coefficients = None if self.coefficients is None else of_component(self.coefficients)
        levels, scaled = [], []
        for channel in range(self.loc.shape[-2]):
            y = loc[..., channel] + scale[..., channel] * noise[..., channel]
            for pair, earlier in _pairs(channel) if coefficients is not None else ():
                y = y + coefficients[..., pair] * scaled[earlier]
            level = ops.clip(ops.round((y + 1.0) * (self.levels - 1) / 2.0), 0, self.levels - 1)
            levels.append(level)
            scaled.append(self._scaled(level))
        return ops.stack(levels, axis=-1)

    def _scaled(self, levels):
        return 2.0 * levels / (self.levels - 1) - 1.0

    def _distances(self, y):
        """Distances from the locations given the channels before, `(..., channels, components)`."""
        if self.coefficients is None or self.loc.shape[-2] == 1:
            return y - self.loc
        return y - self.loc - _coupling(y, self.coefficients)


def _coupling(values, coefficients):
    """The channels' addition to the mean of each later one, `(..., channels, components)`."""
    # Taken apart once: the gradient of a slice is as large as the whole.
    values, coefficients = (ops.unstack(t, axis=-2) for t in (values, coefficients))
    added = [
        sum(coefficients[pair] * values[before] for pair, before in _pairs(channel))
        for channel in range(1, len(values))
    ]
    return ops.stack([ops.zeros_like(added[0]), *added], axis=-2)


def _pairs(channel):
    """Rows of the coefficients that couple a channel to each one before it."""
    first = channel * (channel - 1) // 2
    return [(first + earlier, earlier) for earlier in range(channel)]

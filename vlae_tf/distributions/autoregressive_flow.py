from keras import ops

from vlae_tf.backend import tfb, tfd
from vlae_tf.distributions.code_distribution import CodeDistribution


class AutoregressiveFlow(CodeDistribution, tfd.TransformedDistribution):
    """Autoregressive flow: density in one pass, sampling one dimension at a time.

        forward    z_i = eps_i * exp(log_scale_i(z_<i)) + shift_i(z_<i)
        inverse    eps_i = (z_i - shift_i(z_<i)) * exp(-log_scale_i(z_<i))
        log_prob   log p(z) = sum_i log N(eps_i; 0, 1) - sum_i log_scale_i(z_<i)

    for each step in turn, the first given being applied to the noise first. A mean-only step has
    log_scale = 0. Without steps it is N(0, I).

    Args:
        steps: list of `MADE` layers over d inputs, the order reversed from one to the next.
        event_size: size d of the code.
        dtype: "float32", or "float64" if that is the steps' own.

    Shapes: batch `()`, event `(d,)`; `log_prob` in nats.

    Raises:
        ValueError: if a step has another number of inputs than `event_size`.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import AutoregressiveFlow
        >>> from vlae_tf.layers import MADE
        >>> prior = AutoregressiveFlow([MADE(3, [8]), MADE(3, [8], order="reverse")], 3)
        >>> tuple(prior.log_prob(keras.ops.zeros((2, 3))).shape)
        (2,)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equations 12 to 14; Papamakarios et
        al., "Masked Autoregressive Flow", 2017, equations 3 to 5.
    """

    def __init__(self, steps, event_size, dtype="float32", name="AutoregressiveFlow"):
        parameters = dict(locals())
        self._steps = list(steps)
        sizes = [step.event_size for step in self._steps]
        if any(size != event_size for size in sizes):
            raise ValueError(
                "`steps` must have `event_size` inputs each. "
                f"Received: event_size={event_size!r}, steps with {sizes} inputs"
            )
        flows = [_Step(step) for step in self._steps]
        super().__init__(
            tfd.Sample(_standard_normal(dtype), sample_shape=[event_size]),
            tfb.Chain(flows[::-1]),
            name=name,
        )
        self._parameters = parameters

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}

    def log_prob_terms(self, code):
        """The terms `(batch, d)` that sum to `log_prob(code)`, one per dimension of the noise."""
        noise, log_scales = self._inverted(code)
        return self.distribution.distribution.log_prob(noise) - log_scales

    def to_noise(self, code):
        """The standard normal noise of which `from_noise` makes this code."""
        return self._inverted(code)[0]

    def _inverted(self, code):
        """The noise of a code, and for each dimension the sum of the steps' log-scales."""
        log_scales = 0.0
        for step in reversed(self._steps):
            shift, log_scale = step(code)
            code = code - shift
            if log_scale is not None:
                code = code * ops.exp(-log_scale)
                log_scales = log_scales + log_scale
        return code, log_scales

    def _log_prob(self, code):
        # TFP's own way would run every step twice: for the inverse and for its determinant.
        return ops.sum(self.log_prob_terms(code), axis=-1)

    def from_noise(self, noise):
        """The code at standard normal noise: the flow's forward direction."""
        rows = ops.reshape(noise, (-1, self.event_shape[-1]))
        for step in self._steps:
            rows = step.from_noise(rows)
        return ops.reshape(rows, ops.shape(noise))

    def spread(self):
        """1 in each dimension, the deviation of the noise; the codes' has no closed form."""
        return ops.ones(self.event_shape[-1], self.dtype)


def _standard_normal(dtype):
    return tfd.Normal(loc=ops.zeros((), dtype), scale=ops.ones((), dtype))


class _Step(tfb.MaskedAutoregressiveFlow):
    """TFP's flow, whose forward direction would run the whole network for each dimension."""

    def __init__(self, step):
        self._step = step
        super().__init__(step)

    def _forward(self, noise, **kwargs):
        rows = ops.reshape(noise, (-1, self._step.event_size))
        return ops.reshape(self._step.from_noise(rows), ops.shape(noise))

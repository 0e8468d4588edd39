from keras import ops

from vlae_tf.backend import tfb, tfd, tfp
from vlae_tf.distributions.code_distribution import CodeDistribution
from vlae_tf.distributions.diagonal_gaussian import DiagonalGaussian


class InverseAutoregressiveFlow(CodeDistribution, tfd.TransformedDistribution):
    """Inverse autoregressive flow: sampling in one pass, the density of a given code in d passes.

        forward    z_i = (y_i - shift_i(y_<i, c)) * exp(-log_scale_i(y_<i, c)),    y ~ N(loc, scale)
        inverse    y_i = z_i * exp(log_scale_i(y_<i, c)) + shift_i(y_<i, c)
        log_prob   log q(z) = sum_i log N(y_i; loc_i, scale_i) + sum_i log_scale_i(y_<i, c)

    for each step in turn, without the scale where a step is mean-only.
    `from_noise_and_log_prob` gives a sample and its density in one pass.

    Args:
        loc: means of the first Gaussian, `(batch, d)`.
        scale: standard deviations of the first Gaussian, `(batch, d)`.
        steps: list of `MADE` layers with a context.
        context: features of the image, an input of each step, `(batch, features)`.

    Shapes: batch `(batch,)`, event `(d,)`; `log_prob` in nats.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import InverseAutoregressiveFlow
        >>> from vlae_tf.layers import MADE
        >>> ones = keras.ops.ones((2, 3))
        >>> q = InverseAutoregressiveFlow(ones, ones, [MADE(3, [8], context_size=3)], ones)
        >>> code, log_prob = q.experimental_sample_and_log_prob(seed=0)
        >>> tuple(code.shape), tuple(log_prob.shape)
        ((2, 3), (2,))

    Reference:
        Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016,
        equations 10 and 11.
    """

    def __init__(self, loc, scale, steps, context, name="InverseAutoregressiveFlow"):
        parameters = dict(locals())

        def with_context(step):
            def shift_and_log_scale(code):
                # Sampling several codes an image puts their axis in front of the batch's.
                wide = ops.broadcast_to(context, (*ops.shape(code)[:-1], context.shape[-1]))
                flat = ops.reshape(code, (-1, code.shape[-1]))
                outputs = step(flat, ops.reshape(wide, (-1, context.shape[-1])))
                return [None if o is None else ops.reshape(o, ops.shape(code)) for o in outputs]

            return shift_and_log_scale

        flows = [tfb.Invert(tfb.MaskedAutoregressiveFlow(with_context(step))) for step in steps]
        super().__init__(DiagonalGaussian(loc, scale), tfb.Chain(flows[::-1]), name=name)
        self._parameters = parameters

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        rows = tfp.util.ParameterProperties(event_ndims=1)
        return dict.fromkeys(("loc", "scale", "context"), rows)

    def from_noise(self, noise):
        """The code at standard normal noise: the flow's forward direction, in one pass."""
        return self.bijector.forward(self.distribution.from_noise(noise))

    def from_noise_and_log_prob(self, noise):
        """The code at standard normal noise, and its log-density in nats; inverts no flow."""
        base = self.distribution.from_noise(noise)
        log_det = self.bijector.forward_log_det_jacobian(base, event_ndims=1)
        return self.bijector.forward(base), self.distribution.log_prob(base) - log_det

    def spread(self):
        """`scale` of the first Gaussian; the deviation of the flow's codes has no closed form."""
        return self.distribution.spread()

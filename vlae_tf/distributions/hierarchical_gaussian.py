from keras import ops

from vlae_tf.backend import full_precision, tfd, tfp
from vlae_tf.distributions.rung_distribution import RungDistribution


class HierarchicalGaussian(RungDistribution):
    """Gaussians in a chain over the rungs of a code: each rung given the one before it.

        upward      q(z_1, ..., z_L) = N(z_1; loc, scale) prod_l N(z_l; f_l(z_{l-1}))
        downward    p(z_1, ..., z_L) = N(z_L; loc, scale) prod_l N(z_l; f_l(z_{l+1}))

    The code is z_1, ..., z_L side by side, whichever way the chain runs.

    Args:
        loc: means of the chain's first rung, `(batch, d_1)` upward, `(d_L,)` for a prior.
        scale: standard deviations of the chain's first rung, of the same shape.
        conditionals: list of `ConditionalGaussian` layers, in the order of the chain.
        rungs: sizes of z_1, ..., z_L.
        upward: whether the chain runs from z_1 to z_L, as a posterior's; else from z_L to z_1.

    Shapes: batch `(batch,)` or `()`, event `(sum(rungs),)`; `log_prob` in nats, float32.

    Raises:
        ValueError: for another number of conditionals than of rungs but one.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import HierarchicalGaussian
        >>> from vlae_tf.layers import ConditionalGaussian
        >>> ones = keras.ops.ones((2, 3))
        >>> q = HierarchicalGaussian(ones, ones, [ConditionalGaussian(1, units=[4])], [3, 1])
        >>> tuple(q.from_noise(keras.ops.zeros((5, 2, 4))).shape)
        (5, 2, 4)

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equations 1 and 2.
    """

    def __init__(self, loc, scale, conditionals, rungs, upward=True, name="HierarchicalGaussian"):
        parameters = dict(locals())
        self._loc, self._scale = map(full_precision, (loc, scale))
        self._conditionals = list(conditionals)
        if len(self._conditionals) != len(rungs) - 1:
            raise ValueError(
                "`conditionals` must be one fewer than `rungs`. "
                f"Received: {len(self._conditionals)} conditionals, rungs={rungs}"
            )
        self._order = list(range(len(rungs)))[:: 1 if upward else -1]
        super().__init__(rungs, self._loc.dtype, parameters, name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return dict.fromkeys(("loc", "scale"), tfp.util.ParameterProperties(event_ndims=1))

    def _chain(self, code):
        """Rung, means and deviations, step by step: `code[rung]` must be there before the next."""
        loc, scale = self._loc, self._scale
        for position, rung in enumerate(self._order):
            if position:
                loc, scale = self._conditionals[position - 1](code[self._order[position - 1]])
            yield rung, loc, scale

    def from_noise(self, noise):
        """The code at standard normal noise, one rung after the other."""
        return self.from_noise_and_log_prob(noise)[0]

    def from_noise_and_log_prob(self, noise):
        """The code at standard normal noise, and its log-density in nats; runs the chain once."""
        noise = self.split(noise)
        code, terms = list(noise), 0.0
        for rung, loc, scale in self._chain(code):
            code[rung] = loc + scale * noise[rung]
            normal = tfd.Normal(loc=ops.zeros_like(scale), scale=ops.ones_like(scale))
            terms = terms + ops.sum(normal.log_prob(noise[rung]) - ops.log(scale), axis=-1)
        return ops.concatenate(code, axis=-1), terms

    def log_prob_terms(self, code):
        """The terms `(..., d)` that sum to `log_prob(code)`, one a number of the code."""
        code = self.split(code)
        terms = list(code)
        for rung, loc, scale in self._chain(code):
            terms[rung] = tfd.Normal(loc=loc, scale=scale).log_prob(code[rung])
        return ops.concatenate(terms, axis=-1)

    def _log_prob(self, code):
        return ops.sum(self.log_prob_terms(code), axis=-1)

    def spread(self):
        """Standard deviation of each number of the code given the center of the rung before."""
        code = self.split(self.center())
        spread = list(code)
        for rung, _, scale in self._chain(code):
            spread[rung] = scale
        return ops.concatenate(spread, axis=-1)

from keras import ops

from vlae_tf.checks import refuse
from vlae_tf.distributions.rung_distribution import RungDistribution


class IndependentRungs(RungDistribution):
    """Rungs of a code that are independent: the product of a distribution for each.

        log_prob(z) = sum_l log p_l(z_l)        (nats)

    Args:
        rungs: list of `CodeDistribution`, of one batch shape, from the bottom up.

    Shapes: batch that of the rungs, event `(d,)`, d the sum of theirs; `log_prob` in nats, float32.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import DiagonalGaussian, IndependentRungs
        >>> ones = keras.ops.ones((2, 3))
        >>> p = IndependentRungs([DiagonalGaussian(ones, ones)] * 2)
        >>> tuple(p.log_prob_terms(keras.ops.zeros((2, 6))).shape)
        (2, 6)

    Reference:
        Falck et al., "Multi-Facet Clustering Variational Autoencoders", NeurIPS 2021, equation 3.
    """

    def __init__(self, rungs, name="IndependentRungs"):
        parameters = dict(locals())
        self.rungs = list(rungs)
        if not self.rungs:
            refuse("rungs", "one or more distributions", rungs)
        sizes = [int(rung.event_shape[-1]) for rung in self.rungs]
        super().__init__(sizes, self.rungs[0].dtype, parameters, name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}

    def _batch_shape(self):
        return self.rungs[0].batch_shape

    def _batch_shape_tensor(self):
        return self.rungs[0].batch_shape_tensor()

    def log_prob_terms(self, code):
        """The terms `(..., d)` that sum to `log_prob(code)`."""
        parts = zip(self.rungs, self.split(code), strict=True)
        return ops.concatenate([rung.log_prob_terms(part) for rung, part in parts], axis=-1)

    def _log_prob(self, code):
        return sum(
            rung.log_prob(part) for rung, part in zip(self.rungs, self.split(code), strict=True)
        )

    def from_noise(self, noise):
        """The code at standard normal noise, rung by rung."""
        parts = zip(self.rungs, self.split(noise), strict=True)
        return ops.concatenate([rung.from_noise(part) for rung, part in parts], axis=-1)

    def center(self):
        """The centers of the rungs side by side."""
        return ops.concatenate([rung.center() for rung in self.rungs], axis=-1)

    def spread(self):
        """The spreads of the rungs side by side."""
        return ops.concatenate([rung.spread() for rung in self.rungs], axis=-1)

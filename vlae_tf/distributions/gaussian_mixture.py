from keras import ops

from vlae_tf.backend import full_precision, tfd, tfp
from vlae_tf.distributions.code_distribution import CodeDistribution
from vlae_tf.distributions.component_noise import choose_component
from vlae_tf.distributions.diagonal_gaussian import DiagonalGaussian


class GaussianMixture(CodeDistribution, tfd.MixtureSameFamily):
    """Mixture of diagonal Gaussians over codes.

        log_prob(z) = log sum_k pi_k N(z; loc_k, diag(scale_k^2))        (nats)

    Args:
        logits: logarithms of the weights pi, not normalised, `(batch, components)`.
        loc: means, `(batch, components, d)`.
        scale: standard deviations, positive, `(batch, components, d)`.

    Shapes: batch `(batch,)`, or `()` for a prior; event `(d,)`; `log_prob` in nats, float32.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import GaussianMixture
        >>> ones = keras.ops.ones((2, 3, 4))
        >>> q = GaussianMixture(ones[..., 0], ones, ones)
        >>> code, log_prob = q.from_noise_and_log_prob(keras.ops.zeros((5, 2, 4)))
        >>> tuple(code.shape), tuple(log_prob.shape)
        ((5, 2, 4), (5, 2))

    Reference:
        Jiang et al., "Variational Deep Embedding", IJCAI 2017, equation 1.
    """

    def __init__(self, logits, loc, scale, name="GaussianMixture"):
        parameters = dict(locals())
        logits, loc, scale = map(full_precision, (logits, loc, scale))
        self._logits, self._loc, self._scale = logits, loc, scale
        super().__init__(
            tfd.Categorical(logits=logits), tfd.MultivariateNormalDiag(loc, scale), name=name
        )
        self._parameters = parameters

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        axes = {"logits": 1, "loc": 2, "scale": 2}
        return {
            name: tfp.util.ParameterProperties(event_ndims=count) for name, count in axes.items()
        }

    def weights(self):
        """The weights pi of the components, `(..., components)`."""
        return ops.exp(self.log_weights())

    def log_weights(self):
        """log pi_k, `(..., components)`."""
        return self._logits - ops.logsumexp(self._logits, axis=-1, keepdims=True)

    def components(self):
        """The components, a `DiagonalGaussian` of batch `(..., components)`."""
        return DiagonalGaussian(self._loc, self._scale)

    def component_log_probs(self, code):
        """log pi_k + log N(z; k) of every component, nats `(..., components)`.

        Less their `logsumexp`, these are the logarithms of p(k | z).
        """
        return self.log_weights() + ops.sum(self._component_terms(code), axis=-1)

    def log_prob_terms(self, code):
        """The terms `(..., d)` that sum to `log_prob(code)`: log p(z_j | z_1, ..., z_{j-1})."""
        terms = self._component_terms(code)
        log_weights = ops.broadcast_to(self.log_weights()[..., None], ops.shape(terms))
        # Of each component, given the numbers before: differences of sums over far-away codes
        # would lose all digits.
        sums = log_weights + ops.cumsum(terms, axis=-1)
        before = ops.concatenate([log_weights[..., :1], sums[..., :-1]], axis=-1)
        total = ops.logsumexp(before, axis=-2, keepdims=True)
        given = ops.where(ops.isfinite(total), before - total, log_weights)
        return ops.logsumexp(given + terms, axis=-2)

    def _component_terms(self, code):
        """log N(z_j; k), nats `(..., components, d)`."""
        return tfd.Normal(self._loc, self._scale).log_prob(code[..., None, :])

    def _log_prob(self, code):
        return ops.logsumexp(self.component_log_probs(code), axis=-1)

    def from_noise(self, noise):
        """The code at standard normal noise: the first number chooses the component too."""
        one_hot, rest = choose_component(self._logits, noise[..., 0])
        noise = ops.concatenate([rest[..., None], noise[..., 1:]], axis=-1)
        weights = one_hot[..., None]
        loc, scale = (ops.sum(weights * value, axis=-2) for value in (self._loc, self._scale))
        return loc + scale * noise

    def center(self):
        """The mean of the component with the largest weight."""
        best = ops.argmax(self._logits, axis=-1)
        best = ops.one_hot(best, self._logits.shape[-1], dtype=self._logits.dtype)
        return ops.sum(best[..., None] * self._loc, axis=-2)

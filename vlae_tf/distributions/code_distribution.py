from keras import ops

from vlae_tf.checks import check_last_axes


class CodeDistribution:
    """A distribution over codes: what a VAE asks of its posterior and its prior.

        z = from_noise(eps),    eps ~ N(0, I)

    A code is one flat vector of d numbers, float32, and it is made of d standard normal numbers,
    whatever the distribution is. So training, importance-weighted evaluation, sampling and served
    models draw codes in one way. Mix this class in before a TFP distribution, which gives
    `log_prob`; only `from_noise` must be written.

    Shapes: batch `(batch,)` for a posterior and `()` for a prior, event `(d,)`; noise and codes
    `(..., batch, d)`, for a prior `(..., d)`; log-probabilities in nats, float32.

    A distribution whose log-density is a sum over the dimensions of the code may have
    `log_prob_terms(code)`, which gives the terms `(..., d)`; objectives with groups of dimensions
    need it.

    Example:
        >>> import keras
        >>> from vlae_tf.backend import tfd
        >>> from vlae_tf.distributions import CodeDistribution
        >>> class Shifted(CodeDistribution, tfd.MultivariateNormalDiag):
        ...     def from_noise(self, noise):
        ...         return self.loc + noise
        >>> q = Shifted(keras.ops.ones((2, 3)))
        >>> code, log_prob = q.from_noise_and_log_prob(keras.ops.zeros((5, 2, 3)))
        >>> tuple(code.shape), tuple(log_prob.shape), tuple(q.center().shape)
        ((5, 2, 3), (5, 2), (2, 3))

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, section 2.4.
    """

    def from_noise(self, noise):
        """The code at standard normal noise. Deterministic; a row depends on its own noise."""
        raise NotImplementedError

    def from_noise_and_log_prob(self, noise):
        """The code at standard normal noise, and its log-density in nats."""
        code = self.from_noise(noise)
        return code, self.log_prob(code)

    def log_prob(self, value, *args, **kwargs):
        """The log-density of codes `(..., batch, d)`, in nats.

        Raises:
            ValueError: for codes of another size, which would be broadcast.
        """
        check_last_axes(value, tuple(self.event_shape), "code")
        return super().log_prob(value, *args, **kwargs)

    def log_prob_of_each(self, codes):
        """The log-density of every code under every member of the batch, in nats.

        Args:
            codes: `(n, d)`.

        Returns:
            `(n, batch)`.
        """
        if not len(self.batch_shape):
            return ops.expand_dims(self.log_prob(codes), 1)
        # Written out: not every distribution broadcasts.
        shape = (ops.shape(codes)[0], self.batch_shape_tensor()[0], codes.shape[-1])
        return self.log_prob(ops.broadcast_to(ops.expand_dims(codes, 1), shape))

    def center(self):
        """The one code that stands for the distribution: the code at zero noise.

        `VAE.encode` gives it. It is the mean of a Gaussian, but not that of a flow.
        """
        batch = self.batch_shape_tensor()
        sizes = [batch[axis] for axis in range(len(self.batch_shape))]
        return self.from_noise(ops.zeros((*sizes, self.event_shape[-1]), self.dtype))

    def spread(self):
        """How far codes lie from `center()`: the standard deviation of each dimension."""
        return self.stddev()

    def detached(self):
        """The same distribution, through whose parameters no gradient flows.

        Raises:
            ValueError: if it has parameters other than tensors, such as the layers of a flow.
        """
        parameters = {}
        for name, value in self.parameters.items():
            if hasattr(value, "shape"):
                parameters[name] = ops.stop_gradient(value)
            elif not isinstance(value, (type(None), bool, int, float, str)):
                raise ValueError(
                    "`detached` needs a distribution whose parameters are tensors, such as "
                    f"`DiagonalGaussian`. Received: {type(self).__name__} with {name}={value!r}"
                )
        return self.copy(**parameters)

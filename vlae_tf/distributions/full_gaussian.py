import math

from keras import ops

from vlae_tf.backend import full_precision, tfd, tfp
from vlae_tf.distributions.code_distribution import CodeDistribution


class FullGaussian(CodeDistribution, tfd.Distribution):
    """Gaussian over codes with a full covariance, by the Cholesky factor of its precision.

        q(z) = N(z; loc, (L L^T)^-1),    z = loc + L^-T eps
        log_prob(z) = sum_j [log L_jj - eps_j^2 / 2 - log(2 pi) / 2],    eps = L^T (z - loc)

    Codes and densities come of the one factor, and no matrix is inverted on the way.

    Args:
        loc: means, `(batch, d)`.
        precision_cholesky: L, lower triangular with a positive diagonal, `(batch, d, d)`.

    Shapes: batch `(batch,)`, event `(d,)`; `log_prob` in nats, float32 whatever the parameters are.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import FullGaussian
        >>> q = FullGaussian(keras.ops.zeros((2, 3)), 2.0 * keras.ops.eye(3)[None] * [[[1]], [[1]]])
        >>> keras.ops.convert_to_numpy(q.spread())[0].tolist()
        [0.5, 0.5, 0.5]

    Reference:
        Park et al., "Variational Laplace Autoencoders", ICML 2019, section 3.
    """

    def __init__(self, loc, precision_cholesky, name="FullGaussian"):
        parameters = dict(locals())
        self._loc, self._factor = map(full_precision, (loc, precision_cholesky))
        super().__init__(
            dtype=self._loc.dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        axes = {"loc": 1, "precision_cholesky": 2}
        return {
            name: tfp.util.ParameterProperties(event_ndims=count) for name, count in axes.items()
        }

    def _event_shape(self):
        return list(self._loc.shape[-1:])

    _event_shape_tensor = _event_shape

    def log_prob_terms(self, code):
        """The terms `(..., d)` that sum to `log_prob(code)`: log q(z_j | z_{j+1}, ..., z_d)."""
        upper = ops.transpose(self._factor, (0, 2, 1))
        return self._terms(_by_row(lambda columns: ops.matmul(upper, columns), code - self._loc))

    def _terms(self, noise):
        """The terms of the log-density at the code of this noise."""
        diagonal = ops.diagonal(self._factor, axis1=-2, axis2=-1)
        return ops.log(diagonal) - 0.5 * (ops.square(noise) + math.log(2.0 * math.pi))

    def _log_prob(self, code):
        return ops.sum(self.log_prob_terms(code), axis=-1)

    def from_noise(self, noise):
        """The code at standard normal noise: `loc + L^-T noise`."""
        upper = ops.transpose(self._factor, (0, 2, 1))
        return self._loc + _by_row(lambda columns: ops.solve_triangular(upper, columns), noise)

    def from_noise_and_log_prob(self, noise):
        """The code at standard normal noise, and its log-density in nats, which needs no code."""
        noise = full_precision(noise)
        return self.from_noise(noise), ops.sum(self._terms(noise), axis=-1)

    def center(self):
        """`loc`, the mean."""
        return self._loc

    def spread(self):
        """The standard deviation of each number of the code, the others not being known."""
        eye = ops.eye(self._loc.shape[-1], dtype=self._loc.dtype)
        eye = ops.broadcast_to(eye, ops.shape(self._factor))
        inverse = ops.solve_triangular(self._factor, eye, lower=True)
        return ops.sqrt(ops.sum(ops.square(inverse), axis=-2))


def _by_row(function, codes):
    """`function` of matrices `(batch, d, n)`, on the columns of codes `(..., batch, d)`."""
    codes = full_precision(codes)
    shape = ops.shape(codes)
    # Rank 3, with all codes of a row in one product.
    columns = ops.transpose(ops.reshape(codes, (-1, *shape[-2:])), (1, 2, 0))
    return ops.reshape(ops.transpose(function(columns), (2, 0, 1)), shape)

import keras
import numpy as np
from keras import ops

from vlae_tf.distributions import FullGaussian
from vlae_tf.layers import Dense
from vlae_tf.layers.activations import positive_scale
from vlae_tf.posteriors.posterior import Posterior


@keras.saving.register_keras_serializable(package="vlae_tf")
class FullGaussianPosterior(Posterior):
    """Gaussian posterior with a full covariance, made of the encoder's features alone.

        q(z | x) = N(loc(h), (L L^T)^-1),    L = (I + B(h)) diag(1 / scale(h))

    with h the encoder's features and B strictly lower triangular: `scale` is the deviation of each
    number of the code given the later ones, and B its regression on them, 0 at the start. It is the
    control of `LaplacePosterior`, whose covariance comes from the decoder.

    Args:
        latent_dim: size of the code.

    Input shape: `(batch, features)`; output: a dict of `loc`, `(batch, latent_dim)`, and
    `precision_cholesky`, L, `(batch, latent_dim, latent_dim)`.

    Example:
        >>> import keras
        >>> from vlae_tf.posteriors import FullGaussianPosterior
        >>> family = FullGaussianPosterior(3)
        >>> q = family.distribution(family(keras.ops.ones((2, 8))))
        >>> tuple(q.from_noise(keras.ops.zeros((2, 3))).shape)
        (2, 3)

    Reference:
        Park et al., "Variational Laplace Autoencoders", ICML 2019, section 2: what a fully
        factorised posterior lacks.
    """

    def __init__(self, latent_dim, **kwargs):
        super().__init__(latent_dim, **kwargs)
        below = latent_dim * (latent_dim - 1) // 2
        self._dense = Dense(2 * latent_dim, dtype=self.variable_dtype)
        # Random regressions of each number on those before it would multiply to anything.
        options = {"kernel_initializer": "zeros", "dtype": self.variable_dtype}
        self._below = Dense(below, **options) if below else None
        # For each place of the matrix, which of the numbers below the diagonal; 0 for none.
        self._places = np.zeros((latent_dim, latent_dim), "int32")
        self._places[np.tril_indices(latent_dim, -1)] = 1 + np.arange(below)

    def build(self, input_shape):
        for dense in filter(None, (self._dense, self._below)):
            dense.build(input_shape)

    def call(self, features):
        loc, raw_scale = ops.split(self._dense(features), 2, axis=-1)
        below = [ops.zeros_like(loc[:, :1])]
        if self._below is not None:
            below.append(self._below(features))
        regression = ops.take(ops.concatenate(below, axis=-1), self._places.ravel(), axis=-1)
        unit = ops.reshape(regression, (-1, self.latent_dim, self.latent_dim))
        unit = unit + ops.eye(self.latent_dim, dtype=loc.dtype)
        return {"loc": loc, "precision_cholesky": unit / positive_scale(raw_scale)[:, None, :]}

    def compute_output_spec(self, features):
        shape = (features.shape[0], self.latent_dim)
        loc = keras.KerasTensor(shape, dtype=self.variable_dtype)
        factor = keras.KerasTensor((*shape, self.latent_dim), dtype=self.variable_dtype)
        return {"loc": loc, "precision_cholesky": factor}

    def distribution(self, parameters):
        """The `FullGaussian` with the parameters that `call` gave."""
        return FullGaussian(parameters["loc"], parameters["precision_cholesky"])

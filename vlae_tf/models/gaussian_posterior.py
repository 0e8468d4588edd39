import keras
from keras import ops

from vlae_tf.distributions import DiagonalGaussian
from vlae_tf.layers import Dense


@keras.saving.register_keras_serializable(package="vlae_tf")
class GaussianPosterior(keras.layers.Layer):
    """Diagonal Gaussian posterior.

        q(z | x) = N(loc(h), diag(scale(h)^2)),    h the encoder's features

    `scale` is a softplus, 1 where its argument is 0; all in float32 whatever the policy.

    Args:
        latent_dim: size of the code.

    Input shape: `(batch, features)`; output: a dict of `loc` and `scale`, each
    `(batch, latent_dim)`.

    Example:
        >>> import keras
        >>> from vlae_tf.models import GaussianPosterior
        >>> family = GaussianPosterior(3)
        >>> q = family.distribution(family(keras.ops.ones((2, 8))))
        >>> tuple(q.sample(seed=0).shape)
        (2, 3)

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, section 3.
    """

    def __init__(self, latent_dim, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.latent_dim = latent_dim
        self._dense = Dense(2 * latent_dim, dtype="float32")

    def build(self, input_shape):
        if self.latent_dim:
            self._dense.build(input_shape)

    def call(self, features):
        if not self.latent_dim:
            # oneDNN ends the process at a matrix product without columns.
            empty = features[:, :0]
            return {"loc": empty, "scale": ops.exp(empty)}
        loc, raw_scale = ops.split(self._dense(features), 2, axis=-1)
        return {"loc": loc, "scale": ops.softplus(raw_scale + 0.5413) + 1e-4}

    def compute_output_spec(self, features):
        output = keras.KerasTensor((features.shape[0], self.latent_dim), dtype="float32")
        return {"loc": output, "scale": output}

    def distribution(self, parameters):
        """The `DiagonalGaussian` with the parameters that `call` gave."""
        return DiagonalGaussian(parameters["loc"], parameters["scale"])

    def get_config(self):
        return {**super().get_config(), "latent_dim": self.latent_dim}

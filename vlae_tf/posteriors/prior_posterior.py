import keras
from keras import ops

from vlae_tf.distributions import DiagonalGaussian
from vlae_tf.posteriors.posterior import Posterior


@keras.saving.register_keras_serializable(package="vlae_tf")
class PriorPosterior(Posterior):
    """Posterior that ignores the image: the standard normal prior itself.

        q(z | x) = N(0, I),    so KL(q(z | x) || N(0, I)) = 0

    With a decoder that ignores the code (`networks.Unconditional`) and the prior N(0, I), a `VAE`
    is the control: the same decoder without a code, whose likelihood is exact with one sample.

    Args:
        latent_dim: size of the code, which carries no information.

    Input shape: features, `(batch, n)`; output: a dict of `loc`, zeros `(batch, latent_dim)`.

    Example:
        >>> import keras
        >>> from vlae_tf.posteriors import PriorPosterior
        >>> posterior = PriorPosterior(1)
        >>> q = posterior.distribution(posterior(keras.ops.ones((2, 8))))
        >>> tuple(q.center().shape)
        (2, 1)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, table 1 ("unconditional decoder").
    """

    def call(self, features):
        return {
            "loc": ops.zeros((ops.shape(features)[0], self.latent_dim), dtype=self.variable_dtype)
        }

    def compute_output_spec(self, features):
        return {
            "loc": keras.KerasTensor(
                (features.shape[0], self.latent_dim), dtype=self.variable_dtype
            )
        }

    def distribution(self, parameters):
        """The standard normal, a `DiagonalGaussian`."""
        loc = parameters["loc"]
        return DiagonalGaussian(loc, ops.ones_like(loc))

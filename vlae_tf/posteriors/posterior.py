from vlae_tf.checks import check_integer
from vlae_tf.layers import ConfiguredLayer


class Posterior(ConfiguredLayer):
    """Posterior q(z | x): a layer from an encoder's features to the parameters of a distribution.

        q(z | x) = distribution(refine(call(encoder(x)), x, model))

    Subclasses write `call`, which gives a dict of tensors, and `distribution`, which makes a
    `CodeDistribution` of it. Most leave `check` and `refine` as they are.

    Args:
        latent_dim: size of the code.

    Input shape: features, `(batch, n)`; output: a dict of tensors with `batch` as first axis. In
    float32 whatever the policy.

    Raises:
        ValueError: for a `latent_dim` below 1.

    Example:
        >>> from vlae_tf.posteriors import GaussianPosterior, Posterior
        >>> issubclass(GaussianPosterior, Posterior)
        True

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, section 2.
    """

    def __init__(self, latent_dim, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.latent_dim = check_integer(latent_dim, "latent_dim", least=1)

    def check(self, model):
        """Raises a `ValueError` if the model lacks what the posterior needs; called when it is
        built.

        Args:
            model: the `VAE`, with its parts.
        """

    def refine(self, parameters, images, model):
        """Parameters that fit the images better, found with the model's decoder.

        By default, the parameters as they are.

        Args:
            parameters: dict of tensors, from `call`.
            images: images as the model takes them, `(batch, *image_shape)`.
            model: the `VAE`, with its `decoder`, `prior()` and `likelihood(code)`.
        """
        return parameters

    def distribution(self, parameters):
        """The `CodeDistribution` with these parameters: batch `(batch,)`, event `(latent_dim,)`."""
        raise NotImplementedError

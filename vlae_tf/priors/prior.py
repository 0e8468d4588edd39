from vlae_tf.checks import check_integer
from vlae_tf.layers import ConfiguredLayer


class Prior(ConfiguredLayer):
    """Prior p(z): a layer that holds the parameters of a distribution over codes.

    Subclasses build their weights in `__init__` and write `distribution`.

    Args:
        latent_dim: size of the code.

    Input shape: codes, `(batch, latent_dim)`; output shape: their log-density in nats, `(batch,)`.
    In float32 whatever the policy.

    Raises:
        ValueError: for a `latent_dim` below 1.

    Example:
        >>> from vlae_tf.priors import FlowPrior, Prior
        >>> issubclass(FlowPrior, Prior)
        True

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, section 2.
    """

    def __init__(self, latent_dim, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.latent_dim = check_integer(latent_dim, "latent_dim", least=1)

    def initialize_from_data(self, codes):
        """Sets what may start from codes of images, `(n, latent_dim)`; by default, nothing."""

    def call(self, code):
        return self.distribution().log_prob(code)

    def compute_output_shape(self, code_shape):
        return code_shape[:1]

    def distribution(self):
        """The prior, a `CodeDistribution`: batch `()`, event `(latent_dim,)`."""
        raise NotImplementedError

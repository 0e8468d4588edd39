import keras

from vlae_tf.layers import ConfiguredLayer


class Objective(ConfiguredLayer):
    """What training minimises: a layer from images and a model to a loss and named terms.

    Subclasses write `call`. A term that is not in `terms` must be added there, with its unit: the
    model's metrics, the logs, the check for NaN and the plots are made of the declaration.

    Attributes:
        terms: a dict of the names that `call` gives beside `loss`, and their units ("nats", or ""
            for a number without a unit). `elbo`, `reconstruction` and `kl` are always there, and
            `elbo` is the one-sample ELBO of the model as it is evaluated, whatever is trained.

    Call arguments: `images` `(batch, height, width, channels)`; `model`, a `VAE`; `training`.
    Returns (from a call): a dict of `loss`, a scalar that is a mean over the batch, and of each
    name in `terms`, `(batch,)` or a scalar. Float32 whatever the policy.

    Example:
        >>> from vlae_tf.objectives import ELBO
        >>> ELBO().terms
        {'elbo': 'nats', 'reconstruction': 'nats', 'kl': 'nats'}

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, equation 3.
    """

    terms = {"elbo": "nats", "reconstruction": "nats", "kl": "nats"}

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def check(self, posterior, prior):
        """Raises a `ValueError` if the model lacks what the objective needs; called when it is
        built.

        Args:
            posterior, prior: the model's distributions, a `CodeDistribution` each.
        """

    def check_networks(self, decoder, likelihood_family):
        """Raises a `ValueError` if one of them lacks what the objective needs; called when the
        model is built."""

    def call(self, images, model, training=False):
        raise NotImplementedError

    def compute_output_spec(self, images, model, training=False):
        rows = keras.KerasTensor(images.shape[:1], dtype="float32")
        loss = keras.KerasTensor((), dtype="float32")
        return {"loss": loss, **dict.fromkeys(self.terms, rows)}

import keras

from vlae_tf.distributions import AutoregressiveFlow
from vlae_tf.layers import MADE


@keras.saving.register_keras_serializable(package="vlae_tf")
class FlowPrior(keras.layers.Layer):
    """Autoregressive-flow prior: z = f(eps), eps ~ N(0, I), with the order reversed between steps.

    It costs as much in training as an inverse autoregressive flow posterior, and gives a deeper
    generative path. In float32 whatever the policy.

    Args:
        latent_dim: size of the code.
        steps: number of flow steps; 0 leaves N(0, I).
        hidden_units: of each step's MADE; the paper has three layers of 640.
        mean_only: whether the steps preserve volume, as in the paper.
        weight_norm: whether the kernels are weight-normalised.

    Input shape: codes, `(batch, latent_dim)`; output shape: their log-density in nats, `(batch,)`.

    Example:
        >>> from vlae_tf.models import FlowPrior
        >>> tuple(FlowPrior(3, steps=2, hidden_units=[8]).distribution().sample(5, seed=0).shape)
        (5, 3)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, section 3.2 and appendix A.
    """

    def __init__(
        self,
        latent_dim,
        steps=4,
        hidden_units=(256, 256),
        mean_only=True,
        weight_norm=False,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.latent_dim = latent_dim
        self.steps = steps
        self.hidden_units = list(hidden_units)
        self.mean_only = mean_only
        self.weight_norm = weight_norm
        self._steps = [
            MADE(
                latent_dim,
                self.hidden_units,
                mean_only=mean_only,
                order="reverse" if index % 2 else "forward",
                weight_norm=weight_norm,
                dtype="float32",
            )
            for index in range(steps)
        ]
        for step in self._steps:
            step.build((None, latent_dim))
        self.built = True

    def call(self, code):
        """The log-density of a code, nats."""
        return self.distribution().log_prob(code)

    def compute_output_shape(self, code_shape):
        return code_shape[:1]

    def distribution(self):
        """The prior, an `AutoregressiveFlow`."""
        return AutoregressiveFlow(self._steps, self.latent_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "steps": self.steps,
            "hidden_units": self.hidden_units,
            "mean_only": self.mean_only,
            "weight_norm": self.weight_norm,
        }

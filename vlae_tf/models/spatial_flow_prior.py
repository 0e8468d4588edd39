import math

import keras

from vlae_tf.distributions import AutoregressiveFlow
from vlae_tf.layers import ConvMADE
from vlae_tf.layers.conv_made import check_code_shape


@keras.saving.register_keras_serializable(package="vlae_tf")
class SpatialFlowPrior(keras.layers.Layer):
    """Autoregressive-flow prior of a code laid out as a map, made of masked convolutions.

        z = f(eps), eps ~ N(0, I)

    As `FlowPrior`, with `ConvMADE` steps and the order reversed between them. In float32 whatever
    the policy.

    Args:
        code_shape: `(height, width, channels)`; the size of the code is the product.
        steps: number of flow steps; 0 leaves N(0, I). The paper has 6.
        filters: channels of the hidden layers of each step.
        hidden_layers: number of them; the paper has 2.
        kernel_size: of the masked convolutions.
        groups: channel groups at a position (see `ConvMADE`).
        mean_only: whether the steps preserve volume.
        weight_norm: whether the kernels are weight-normalised.

    Input shape: codes, `(batch, latent_dim)`; output shape: their log-density in nats, `(batch,)`.

    Example:
        >>> from vlae_tf.models import SpatialFlowPrior
        >>> prior = SpatialFlowPrior((2, 2, 3), steps=2, filters=6).distribution()
        >>> tuple(prior.sample(5, seed=0).shape)
        (5, 12)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, section 3.2 and appendix B.
    """

    def __init__(
        self,
        code_shape,
        steps=6,
        filters=128,
        hidden_layers=2,
        kernel_size=3,
        groups=1,
        mean_only=True,
        weight_norm=False,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.code_shape = check_code_shape(code_shape)
        self.steps = steps
        self.filters = filters
        self.hidden_layers = hidden_layers
        self.kernel_size = kernel_size
        self.groups = groups
        self.mean_only = mean_only
        self.weight_norm = weight_norm
        self._steps = [
            ConvMADE(
                self.code_shape,
                filters,
                hidden_layers,
                kernel_size,
                groups,
                mean_only=mean_only,
                order="reverse" if index % 2 else "forward",
                weight_norm=weight_norm,
                dtype="float32",
            )
            for index in range(steps)
        ]
        for step in self._steps:
            step.build((None, self.latent_dim))
        self.built = True

    @property
    def latent_dim(self):
        return math.prod(self.code_shape)

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
            "code_shape": self.code_shape,
            "steps": self.steps,
            "filters": self.filters,
            "hidden_layers": self.hidden_layers,
            "kernel_size": self.kernel_size,
            "groups": self.groups,
            "mean_only": self.mean_only,
            "weight_norm": self.weight_norm,
        }

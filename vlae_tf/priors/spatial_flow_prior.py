import functools
import math

import keras

from vlae_tf.checks import check_code_shape
from vlae_tf.layers import ConvMADE
from vlae_tf.priors.autoregressive_flow_prior import AutoregressiveFlowPrior


@keras.saving.register_keras_serializable(package="vlae_tf")
class SpatialFlowPrior(AutoregressiveFlowPrior):
    """Autoregressive-flow prior of a code laid out as a map, made of masked convolutions.

        z = f(eps), eps ~ N(0, I)

    Like `FlowPrior`, with `ConvMADE` steps, the order reversed between them. In float32 whatever
    the policy.

    Args:
        code_shape: `(height, width, channels)`; the size of the code is the product.
        steps: number of flow steps; 0 leaves N(0, I). The paper has 6.
        filters: channels of the hidden layers of each step.
        hidden_layers: number of hidden layers of each step; the paper has 2.
        kernel_size: size of the masked convolutions.
        groups: number of channel groups at a position (see `ConvMADE`).
        mean_only: whether the steps preserve volume.
        weight_norm: whether the kernels are weight-normalised.

    Input shape: codes, `(batch, latent_dim)`; output shape: their log-density in nats, `(batch,)`.

    Example:
        >>> from vlae_tf.priors import SpatialFlowPrior
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
        code_shape = check_code_shape(code_shape)
        make_step = functools.partial(
            ConvMADE, code_shape, filters, hidden_layers, kernel_size, groups
        )
        super().__init__(math.prod(code_shape), steps, make_step, mean_only, weight_norm, **kwargs)
        self.code_shape = code_shape
        self.filters = filters
        self.hidden_layers = hidden_layers
        self.kernel_size = kernel_size
        self.groups = groups

    def get_config(self):
        config = super().get_config()
        del config["latent_dim"]  # the product of the code's shape
        return config

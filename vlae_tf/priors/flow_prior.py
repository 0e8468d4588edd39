import functools

import keras

from vlae_tf.layers import MADE
from vlae_tf.priors.autoregressive_flow_prior import AutoregressiveFlowPrior


@keras.saving.register_keras_serializable(package="vlae_tf")
class FlowPrior(AutoregressiveFlowPrior):
    """Autoregressive-flow prior: z = f(eps), eps ~ N(0, I), with the order reversed between steps.

    Its training costs as much as that of an inverse autoregressive flow posterior, and the model
    has a deeper generative path. In float32 whatever the policy.

    Args:
        latent_dim: size of the code.
        steps: number of flow steps; 0 leaves N(0, I).
        hidden_units: sizes of the hidden layers of each step's MADE; the paper has three of 640.
        mean_only: whether the steps preserve volume, as in the paper.
        weight_norm: whether the kernels are weight-normalised.

    Input shape: codes, `(batch, latent_dim)`; output shape: their log-density in nats, `(batch,)`.

    Example:
        >>> from vlae_tf.priors import FlowPrior
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
        make_step = functools.partial(MADE, latent_dim, list(hidden_units))
        super().__init__(latent_dim, steps, make_step, mean_only, weight_norm, **kwargs)
        self.hidden_units = list(hidden_units)

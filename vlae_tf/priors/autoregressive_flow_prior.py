from vlae_tf.checks import check_flag, check_integer
from vlae_tf.distributions import AutoregressiveFlow
from vlae_tf.priors.prior import Prior


class AutoregressiveFlowPrior(Prior):
    """Autoregressive-flow prior: what its subclasses share.

        z = f(eps), eps ~ N(0, I), with the order reversed between steps

    A subclass chooses the layers of the steps. In float32 whatever the policy.

    Args:
        latent_dim: size of the code.
        steps: number of flow steps; 0 leaves N(0, I).
        make_step: function that makes a step, an autoregressive layer, from the keyword arguments
            `mean_only`, `order`, `weight_norm` and `dtype`.
        mean_only: whether the steps preserve volume.
        weight_norm: whether the kernels are weight-normalised.

    Input shape: codes, `(batch, latent_dim)`; output shape: their log-density in nats, `(batch,)`.

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, section 3.2.
    """

    def __init__(self, latent_dim, steps, make_step, mean_only, weight_norm, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.steps = check_integer(steps, "steps", 0)
        self.mean_only = check_flag(mean_only, "mean_only")
        self.weight_norm = check_flag(weight_norm, "weight_norm")
        self._steps = [
            make_step(
                mean_only=mean_only,
                order="reverse" if index % 2 else "forward",
                weight_norm=weight_norm,
                dtype=self.variable_dtype,
            )
            for index in range(steps)
        ]
        for step in self._steps:
            step.build((None, latent_dim))
        self.built = True

    def distribution(self):
        """The prior, an `AutoregressiveFlow`."""
        return AutoregressiveFlow(self._steps, self.latent_dim, self.variable_dtype)

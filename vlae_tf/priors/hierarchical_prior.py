import keras
from keras import ops

from vlae_tf.checks import check_activation, check_integers, check_rungs
from vlae_tf.distributions import HierarchicalGaussian
from vlae_tf.layers import ConditionalGaussian
from vlae_tf.priors.prior import Prior


@keras.saving.register_keras_serializable(package="vlae_tf")
class HierarchicalPrior(Prior):
    """Prior of several stochastic layers: a chain of Gaussians from N(0, I) downwards.

        p(z) = N(z_L; 0, I) prod_l N(z_l; f_l(z_{l+1}))

    The code is z_1, ..., z_L side by side, as in `HierarchicalPosterior`.

    Args:
        latent_dim: size of the code, the sum of the rungs.
        rungs: sizes of z_1, ..., z_L.
        units: sizes of the hidden layers of each f_l.
        activation: activation of each f_l.

    Input shape: codes, `(batch, latent_dim)`; output shape: their log-density in nats, `(batch,)`.

    Raises:
        ValueError: for rungs that do not add up to `latent_dim`, or sizes below 1.

    Example:
        >>> from vlae_tf.priors import HierarchicalPrior
        >>> prior = HierarchicalPrior(3, rungs=[2, 1], units=[8]).distribution()
        >>> tuple(prior.center().shape)
        (3,)

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equation 1 and section 5.
    """

    def __init__(self, latent_dim, rungs, units=(100, 100), activation="tanh", **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.rungs = check_rungs(rungs, latent_dim)
        self.units = check_integers(units, "units", least=1)
        # Known at once, also where a single rung has no use for it.
        check_activation(activation)
        self.activation = activation
        downward = self.rungs[::-1]
        self._conditionals = [
            ConditionalGaussian(size, units, activation, dtype=self.variable_dtype)
            for size in downward[1:]
        ]
        for size, conditional in zip(downward[:-1], self._conditionals, strict=True):
            conditional.build((None, size))
        self.built = True

    def distribution(self):
        """The `HierarchicalGaussian` of the layers' weights."""
        top = ops.zeros(self.rungs[-1], self.variable_dtype)
        return HierarchicalGaussian(
            top, ops.ones_like(top), self._conditionals, self.rungs, upward=False
        )

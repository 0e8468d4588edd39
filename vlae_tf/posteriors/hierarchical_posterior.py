import keras

from vlae_tf.checks import check_activation, check_integers, check_rungs
from vlae_tf.distributions import HierarchicalGaussian
from vlae_tf.layers import ConditionalGaussian
from vlae_tf.posteriors.gaussian_posterior import GaussianPosterior
from vlae_tf.posteriors.posterior import Posterior


@keras.saving.register_keras_serializable(package="vlae_tf")
class HierarchicalPosterior(Posterior):
    """Posterior of several stochastic layers: a chain of Gaussians from the image upwards.

        q(z | x) = N(z_1; loc(h), scale(h)) prod_l N(z_l; f_l(z_{l-1})),    h the encoder's features

    The code is z_1, ..., z_L side by side. The model's prior is a `HierarchicalPrior` of the same
    rungs, and its decoder reads z_1 alone (`MLPDecoder(code_size=rungs[0])`).

    Args:
        latent_dim: size of the code, the sum of the rungs.
        rungs: sizes of z_1, ..., z_L.
        units: sizes of the hidden layers of each f_l.
        activation: activation of each f_l.

    Input shape: `(batch, features)`; output: a dict of `loc` and `scale` of z_1, each
    `(batch, rungs[0])`.

    Raises:
        ValueError: for rungs that do not add up to `latent_dim`, or sizes below 1.

    Example:
        >>> import keras
        >>> from vlae_tf.posteriors import HierarchicalPosterior
        >>> family = HierarchicalPosterior(3, rungs=[2, 1], units=[8])
        >>> q = family.distribution(family(keras.ops.ones((2, 8))))
        >>> tuple(q.from_noise(keras.ops.zeros((2, 3))).shape)
        (2, 3)

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equation 2 and section 5.
    """

    def __init__(self, latent_dim, rungs, units=(100, 100), activation="tanh", **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.rungs = check_rungs(rungs, latent_dim)
        self.units = check_integers(units, "units", least=1)
        # Known at once, also where a single rung has no use for it.
        check_activation(activation)
        self.activation = activation
        self._first = GaussianPosterior(self.rungs[0], dtype=self.variable_dtype)
        self._conditionals = [
            ConditionalGaussian(size, units, activation, dtype=self.variable_dtype)
            for size in self.rungs[1:]
        ]

    def build(self, input_shape):
        self._first.build(input_shape)
        for size, conditional in zip(self.rungs[:-1], self._conditionals, strict=True):
            conditional.build((None, size))

    def call(self, features):
        return self._first(features)

    def compute_output_spec(self, features):
        return self._first.compute_output_spec(features)

    def distribution(self, parameters):
        """The `HierarchicalGaussian` with the parameters that `call` gave."""
        return HierarchicalGaussian(
            parameters["loc"], parameters["scale"], self._conditionals, self.rungs
        )

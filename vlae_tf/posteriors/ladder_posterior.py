import keras
from keras import ops

from vlae_tf.backend import split_sizes
from vlae_tf.checks import check_integers, check_rungs
from vlae_tf.distributions import DiagonalGaussian
from vlae_tf.posteriors.gaussian_posterior import GaussianPosterior
from vlae_tf.posteriors.posterior import Posterior


@keras.saving.register_keras_serializable(package="vlae_tf")
class LadderPosterior(Posterior):
    """Diagonal Gaussian posterior of a ladder: each rung from its own stage of the encoder.

        q(z | x) = prod_l N(z_l; loc_l(h_l), diag(scale_l(h_l)^2))

    The rungs are independent given the image, so it is one diagonal Gaussian over the whole code:
    the hierarchy is in the networks alone.

    Args:
        latent_dim: size of the code, the sum of the rungs.
        rungs: sizes of z_1, ..., z_L, from the bottom up.
        feature_sizes: numbers of features h_1, ..., h_L, as `LadderEncoder.feature_sizes` has them.

    Input shape: `(batch, sum(feature_sizes))`; output: a dict of `loc` and `scale`, each
    `(batch, latent_dim)`.

    Raises:
        ValueError: for rungs that do not add up to `latent_dim`, another number of feature sizes,
            or features of another size.

    Example:
        >>> import keras
        >>> from vlae_tf.posteriors import LadderPosterior
        >>> family = LadderPosterior(3, rungs=[2, 1], feature_sizes=[8, 4])
        >>> tuple(family(keras.ops.ones((2, 12)))["loc"].shape)
        (2, 3)

    Reference:
        Zhao et al., "Learning Hierarchical Features from Generative Models", ICML 2017, section 5.
    """

    def __init__(self, latent_dim, rungs, feature_sizes=(512, 512, 512), **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.rungs = check_rungs(rungs, latent_dim)
        self.feature_sizes = check_integers(
            feature_sizes, "feature_sizes", least=1, length=len(self.rungs)
        )
        self._heads = [GaussianPosterior(size, dtype=self.variable_dtype) for size in self.rungs]

    def build(self, input_shape):
        if input_shape[-1] != sum(self.feature_sizes):
            raise ValueError(
                "`feature_sizes` must add up to the encoder's features. Received: "
                f"feature_sizes={self.feature_sizes}, {input_shape[-1]} features"
            )
        for head, size in zip(self._heads, self.feature_sizes, strict=True):
            head.build((None, size))

    def call(self, features):
        parts = split_sizes(features, self.feature_sizes)
        rungs = [head(part) for head, part in zip(self._heads, parts, strict=True)]
        return {
            name: ops.concatenate([rung[name] for rung in rungs], axis=-1)
            for name in ("loc", "scale")
        }

    def compute_output_spec(self, features):
        output = keras.KerasTensor((features.shape[0], self.latent_dim), dtype=self.variable_dtype)
        return {"loc": output, "scale": output}

    def distribution(self, parameters):
        """The `DiagonalGaussian` with the parameters that `call` gave."""
        return DiagonalGaussian(parameters["loc"], parameters["scale"])

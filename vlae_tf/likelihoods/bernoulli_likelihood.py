import keras

from vlae_tf.distributions import FactorisedBernoulli
from vlae_tf.likelihoods.factorised_likelihood import FactorisedLikelihood


@keras.saving.register_keras_serializable(package="vlae_tf")
class BernoulliLikelihood(FactorisedLikelihood):
    """Factorised likelihood of binary images.

        p(x | z) = prod_i Bernoulli(x_i; sigmoid(logits_i(z)))

    Args:
        image_shape: `(height, width, channels)`.
        projection: whether a 1x1 convolution makes the logits of the maps. If not, the maps are the
            logits, as many as there are channels.

    Input shape: the decoder's maps, `(batch, height, width, maps)`; output shape: the logits,
    `(batch, *image_shape)`.

    Example:
        >>> import keras
        >>> from vlae_tf.likelihoods import BernoulliLikelihood
        >>> family = BernoulliLikelihood((4, 4, 1))
        >>> tuple(family.distribution(keras.ops.ones((2, 4, 4, 3))).mode().shape)
        (2, 4, 4, 1)

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.1.
    """

    def distribution(self, maps, training=False):
        """The `FactorisedBernoulli` given the decoder's maps."""
        return FactorisedBernoulli(self(maps))

    def _parameter_count(self):
        return self.image_shape[-1]

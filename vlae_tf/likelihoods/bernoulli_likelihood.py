import keras
import numpy as np
from keras import ops

from vlae_tf.checks import check_images
from vlae_tf.distributions import FactorisedBernoulli
from vlae_tf.likelihoods.factorised_likelihood import FactorisedLikelihood


@keras.saving.register_keras_serializable(package="vlae_tf")
class BernoulliLikelihood(FactorisedLikelihood):
    """Factorised likelihood of binary images.

        p(x | z) = prod_i Bernoulli(x_i; sigmoid(logits_i(z)))

    Args:
        image_shape: `(height, width, channels)`.
        projection: whether a 1x1 convolution makes the logits of the maps. If not, the maps are the
            logits, but for a bias at each pixel, which `initialize_from_data` sets to the logit of
            the pixel's mean: a fully connected decoder then need not learn where ink never is.

    Input shape: the decoder's maps, `(batch, height, width, maps)`; output shape: the logits,
    `(batch, *image_shape)`.

    Example:
        >>> import keras
        >>> from vlae_tf.likelihoods import BernoulliLikelihood
        >>> family = BernoulliLikelihood((4, 4, 1))
        >>> tuple(family.distribution(keras.ops.ones((2, 4, 4, 3))).mode().shape)
        (2, 4, 4, 1)

    `residual_and_weight` and `outputs_jacobian` serve posteriors that linearise the decoder.

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.1.
    """

    def distribution(self, maps, training=False):
        """The `FactorisedBernoulli` given the decoder's maps."""
        return FactorisedBernoulli(self(maps))

    def residual_and_weight(self, outputs, images):
        """First and minus second derivative of log p(x | z) by each logit: x - p and p (1 - p).

        Args:
            outputs: logits, `(batch, *image_shape)`.
            images: images of {0, 1}, `(batch, *image_shape)`.
        """
        probability = ops.sigmoid(outputs)
        weight = probability * (1.0 - probability)
        return ops.cast(images, outputs.dtype) - probability, weight

    def initialize_from_data(self, images):
        """Sets the bias of each pixel to the logit of its mean, by Laplace's rule of succession."""
        check_images(images, self.image_shape, self.levels)
        if not self.projection:
            ones = np.sum(images, axis=0, dtype="float64")
            self._bias.assign(np.log((ones + 1) / (len(images) - ones + 1)))

    def _parameter_count(self):
        return self.image_shape[-1]

import keras
import numpy as np
from keras import ops

from vlae_tf.checks import check_images
from vlae_tf.distributions import FactorisedGaussian
from vlae_tf.likelihoods.factorised_likelihood import FactorisedLikelihood


@keras.saving.register_keras_serializable(package="vlae_tf")
class GaussianLikelihood(FactorisedLikelihood):
    """Factorised likelihood of grey or colour images of 256 levels, with one learned variance.

        p(x | z) = prod_i N(x_i; 255 g_i(z), (255 s)^2),    s >= 1 / 255

    The means g and the scale s are in units of the whole range of intensities, 0 to 1. The scale is
    the same for all pixels and images, and at least one level: below that, a density at whole
    numbers grows without limit and says nothing of images (`FactorisedGaussian`).

    Args:
        image_shape: `(height, width, channels)`.
        projection: whether a 1x1 convolution makes the means of the maps. If not, the maps are the
            means, but for a bias at each pixel.

    `initialize_from_data` sets s^2 to the mean square of the distances from the mean image, and
    the biases, where there are any, to the mean image. From a scale of another size, training may
    diverge.

    Input shape: the decoder's maps, `(batch, height, width, maps)`; output shape: the means g,
    `(batch, *image_shape)`.

    `residual_and_weight` and `outputs_jacobian` serve posteriors that linearise the decoder.

    Example:
        >>> import keras
        >>> from vlae_tf.likelihoods import GaussianLikelihood
        >>> family = GaussianLikelihood((4, 4, 1))
        >>> images = keras.ops.zeros((2, 4, 4, 1))
        >>> tuple(family.distribution(keras.ops.ones((2, 4, 4, 3))).log_prob(images).shape)
        (2,)

    Reference:
        Park et al., "Variational Laplace Autoencoders", ICML 2019, section 3.
    """

    levels = 256

    def __init__(self, image_shape, **kwargs):
        super().__init__(image_shape, **kwargs)
        self._log_variance = self.add_weight(
            shape=(), initializer="zeros", autocast=False, name="log_variance"
        )

    def variance(self):
        """s^2, a scalar."""
        return ops.maximum(ops.exp(ops.convert_to_tensor(self._log_variance)), self._unit**2)

    @property
    def _unit(self):
        """One level, in units of the whole range."""
        return 1.0 / (self.levels - 1)

    def distribution(self, maps, training=False):
        """The `FactorisedGaussian` given the decoder's maps."""
        means = self(maps) / self._unit
        scale = ops.sqrt(self.variance()) / self._unit
        return FactorisedGaussian(means, scale, self.levels)

    def residual_and_weight(self, outputs, images):
        """First and minus second derivative of log p(x | z) by each mean g: (x/255 - g) / s^2 and
        1 / s^2.

        Args:
            outputs: means, `(batch, *image_shape)`.
            images: images of 0..255, `(batch, *image_shape)`.
        """
        weight = ops.ones_like(outputs) / self.variance()
        return weight * (self._unit * ops.cast(images, outputs.dtype) - outputs), weight

    def initialize_from_data(self, images):
        """Sets the variance, and the biases of the pixels, to those of a batch of images."""
        check_images(images, self.image_shape, self.levels)
        values = np.asarray(images, "float64") * self._unit
        mean = values.mean(axis=0)
        variance = np.mean((values - mean) ** 2)
        self._log_variance.assign(np.log(max(variance, self._unit**2)))
        if not self.projection:
            self._bias.assign(mean)

    def _parameter_count(self):
        return self.image_shape[-1]

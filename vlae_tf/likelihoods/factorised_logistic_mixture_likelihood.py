import keras

from vlae_tf.distributions import DiscretisedLogisticMixture, FactorisedLogisticMixture
from vlae_tf.likelihoods.factorised_likelihood import FactorisedLikelihood


@keras.saving.register_keras_serializable(package="vlae_tf")
class FactorisedLogisticMixtureLikelihood(FactorisedLikelihood):
    """Factorised likelihood of grey or colour images of 256 levels.

        p(x | z) = prod_i DiscretisedLogisticMixture(x_i; f_i(z))

    No pixel sees another, so the code must carry all that pixels have in common. Compare it with
    `LogisticMixtureLikelihood`, which has a window. The channels of a pixel are coupled in the
    mixture.

    Args:
        image_shape: `(height, width, channels)`.
        components: number of components of the mixture.
        projection: whether a 1x1 convolution makes the parameters of the maps. If not, the maps are
            the parameters, but for a bias at each pixel.

    Input shape: the decoder's maps, `(batch, height, width, maps)`; output shape: the parameters of
    the mixtures, `(batch, height, width, parameters)`.

    Example:
        >>> import keras
        >>> from vlae_tf.likelihoods import FactorisedLogisticMixtureLikelihood
        >>> family = FactorisedLogisticMixtureLikelihood((4, 4, 3), components=2)
        >>> maps = keras.ops.ones((2, 4, 4, 5))
        >>> tuple(family.distribution(maps).log_prob(keras.ops.zeros((2, 4, 4, 3))).shape)
        (2,)

    Reference:
        Salimans et al., "PixelCNN++", 2017, section 2.1.
    """

    levels = 256

    def __init__(self, image_shape, components=10, **kwargs):
        self.components = components
        super().__init__(image_shape, **kwargs)

    def distribution(self, maps, training=False):
        """The `FactorisedLogisticMixture` given the decoder's maps."""
        pixels = DiscretisedLogisticMixture.of_parameters(
            self(maps), self.image_shape[-1], self.levels
        )
        return FactorisedLogisticMixture(pixels)

    def _parameter_count(self):
        return DiscretisedLogisticMixture.parameter_count(self.image_shape[-1], self.components)

from vlae_tf.backend import tfp
from vlae_tf.distributions.factorised_images import FactorisedImages


class FactorisedLogisticMixture(FactorisedImages):
    """Images of many levels whose pixels are independent given the code.

        log p(x | z) = sum_i log DiscretisedLogisticMixture(x_i; f_i(z))        (nats)

    The channels of a pixel are as dependent as the mixture makes them.

    Args:
        pixels: `DiscretisedLogisticMixture` with batch `(batch, height, width)`.

    Shapes: batch `(batch,)`, event `(height, width, channels)`; `log_prob` takes levels, float or
    integer, and is float32.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import DiscretisedLogisticMixture, FactorisedLogisticMixture
        >>> size = DiscretisedLogisticMixture.parameter_count(channels=3, components=5)
        >>> parameters = keras.ops.zeros((2, 4, 4, size))
        >>> p = FactorisedLogisticMixture(DiscretisedLogisticMixture.of_parameters(parameters, 3))
        >>> tuple(p.log_prob(keras.ops.ones((2, 4, 4, 3))).shape)
        (2,)

    Reference:
        Salimans et al., "PixelCNN++", 2017, equations 1 to 3.
    """

    def __init__(self, pixels, name="FactorisedLogisticMixture"):
        super().__init__(pixels, {"pixels": pixels, "name": name}, name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"pixels": tfp.util.BatchedComponentProperties(event_ndims=2)}

    @property
    def noise_shape(self):
        """Shape of the noise of one image: a number for the component, and one for each channel."""
        height, width, channels = self.event_shape
        return (height, width, channels + 1)

    def choose(self, uniform):
        """The pixels at uniform noise; the first number of each chooses its component."""
        return self.distribution.from_noise(uniform)

from vlae_tf.checks import check_image_shape
from vlae_tf.layers import ConfiguredLayer


class Likelihood(ConfiguredLayer):
    """Likelihood p(x | z): a layer from a decoder's maps to a distribution over images.

    Subclasses write `distribution` and say how many `levels` a pixel has.

    Args:
        image_shape: `(height, width, channels)`.

    Attributes:
        levels: number of values of a channel; pixels are whole numbers from 0 to levels - 1.

    Raises:
        ValueError: for an invalid image shape.

    Example:
        >>> from vlae_tf.likelihoods import BernoulliLikelihood, Likelihood
        >>> issubclass(BernoulliLikelihood, Likelihood), BernoulliLikelihood.levels
        (True, 2)

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.
    """

    levels = 2

    def __init__(self, image_shape, **kwargs):
        super().__init__(**kwargs)
        self.image_shape = check_image_shape(image_shape)

    def initialize_from_data(self, images):
        """Sets what may start from a batch of images `(n, *image_shape)`; by default, nothing."""

    def distribution(self, maps, training=False):
        """The `ImageDistribution` given the decoder's maps `(batch, height, width, maps)`."""
        raise NotImplementedError

from keras import ops

from vlae_tf.backend import tfd
from vlae_tf.distributions.image_distribution import ImageDistribution


class FactorisedImages(ImageDistribution, tfd.Independent):
    """Images whose pixels are independent given the code: what its subclasses share.

        log p(x | z) = sum_i log p(x_i | z)        (nats)

    A subclass defines how a pixel is drawn from uniform noise.

    Args:
        pixels: distribution of the pixels; the first axis of its batch is that of the images.

    Shapes: batch `(batch,)`, event `(height, width, channels)`.

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.
    """

    def __init__(self, pixels, parameters, name):
        pixel_axes = len(pixels.batch_shape) - 1
        super().__init__(pixels, reinterpreted_batch_ndims=pixel_axes, name=name)
        self._parameters = parameters

    @property
    def noise_shape(self):
        """Shape of the uniform noise of one image, `(height, width, noise_channels)`."""
        return tuple(self.event_shape)

    def choose(self, uniform):
        """The pixels at uniform noise."""
        raise NotImplementedError

    def from_noise(self, uniform, known=None, mask=None):
        """The image at uniform noise, `(batch, *noise_shape)`.

        The pixels of `known` where `mask` is true stay as they are.
        """
        images = self.choose(uniform)
        return images if known is None else ops.where(ops.cast(mask, "bool"), known, images)

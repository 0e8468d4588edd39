from vlae_tf.checks import check_last_axes


class ImageDistribution:
    """A distribution over images: what a VAE asks of its likelihood.

        x = from_noise(u),    u ~ Uniform[0, 1) of shape `noise_shape`

    Mix this class in before a TFP distribution, which gives `log_prob`.

    Shapes: batch `(batch,)`, event `(height, width, channels)`; images are whole numbers from 0 to
    levels - 1; `log_prob` takes floats or integers, is in nats and float32.

    Example:
        >>> from vlae_tf.distributions import FactorisedBernoulli, ImageDistribution
        >>> issubclass(FactorisedBernoulli, ImageDistribution)
        True

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equation 11.
    """

    @property
    def noise_shape(self):
        """Shape of the uniform noise of one image, `(height, width, noise_channels)`."""
        raise NotImplementedError

    def log_prob(self, value, *args, **kwargs):
        """The log-probability of images `(..., batch, height, width, channels)`, in nats.

        Raises:
            ValueError: for images of another shape, which would be broadcast.
        """
        check_last_axes(value, tuple(self.event_shape), "images")
        return super().log_prob(value, *args, **kwargs)

    def from_noise(self, uniform, known=None, mask=None):
        """The image at uniform noise `(batch, *noise_shape)`, float32 `(batch, *image_shape)`.

        Deterministic; a row depends on its own noise. The pixels of `known` where `mask` is true
        stay as they are, and the others are drawn given them.
        """
        raise NotImplementedError

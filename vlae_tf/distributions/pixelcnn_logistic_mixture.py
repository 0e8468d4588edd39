from keras import ops

from vlae_tf.distributions.autoregressive_images import AutoregressiveImages
from vlae_tf.distributions.discretised_logistic_mixture import DiscretisedLogisticMixture

# Of R, G and B, as ITU-R BT.601 and the paper have it.
_LUMINANCE = (0.299, 0.587, 0.114)


class PixelCNNLogisticMixture(AutoregressiveImages):
    """Autoregressive distribution over images of many levels, with a window.

        log p(x | c) = sum_i log DiscretisedLogisticMixture(x_i; f_i(x_window(i), c))        (nats)

    The channels of a pixel follow one another inside the mixture.

    Args:
        network: an autoregressive layer with a `receptive_field`, from images scaled to -1..1 and
            conditioning to `DiscretisedLogisticMixture.parameter_count(channels, components)`
            numbers for each pixel.
        conditioning: the decoder's maps, `(batch, height, width, maps)`.
        image_shape: `(height, width, channels)`.
        grey_window: whether the network sees 0.299 R + 0.587 G + 0.114 B alone, so that the window
            tells nothing of colours.
        levels: number of values of a channel.
        training: passed on to the network (dropout).

    Shapes: batch `(batch,)`, event `(height, width, channels)`; `log_prob` takes levels of
    0..levels-1, float or integer, and is float32.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import DiscretisedLogisticMixture, PixelCNNLogisticMixture
        >>> from vlae_tf.layers import LocalPixelCNN
        >>> size = DiscretisedLogisticMixture.parameter_count(channels=3, components=5)
        >>> network = LocalPixelCNN(output_channels=size, filters=4, blocks=1)
        >>> p = PixelCNNLogisticMixture(network, keras.ops.ones((2, 6, 6, 3)), (6, 6, 3))
        >>> tuple(p.log_prob(keras.ops.zeros((2, 6, 6, 3))).shape)
        (2,)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equation 11 and section 4.3;
        Salimans et al., "PixelCNN++", 2017, section 2.
    """

    def __init__(
        self,
        network,
        conditioning,
        image_shape,
        grey_window=False,
        levels=256,
        training=False,
        name="PixelCNNLogisticMixture",
    ):
        parameters = dict(locals())
        self.grey_window = grey_window
        self.levels = levels
        super().__init__(network, conditioning, image_shape, training, parameters, name)

    @property
    def noise_shape(self):
        return (*self.image_shape[:2], self.image_shape[-1] + 1)

    def scaled(self, images):
        images = 2.0 * images / (self.levels - 1) - 1.0
        if self.grey_window and self.image_shape[-1] == 3:
            weights = ops.convert_to_tensor(_LUMINANCE, "float32")
            images = ops.sum(images * weights, axis=-1, keepdims=True)
        return images

    def pixel_log_prob(self, parameters, images):
        return self._pixels(parameters).log_prob(images)

    def choose(self, parameters, uniform):
        """The levels at uniform noise: one number for the component, and one for each channel."""
        return self._pixels(parameters).transform_uniform(uniform)

    def _pixels(self, parameters):
        return DiscretisedLogisticMixture.of_parameters(
            parameters, self.image_shape[-1], self.levels
        )

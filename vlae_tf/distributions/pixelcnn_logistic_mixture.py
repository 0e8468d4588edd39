from keras import ops

from vlae_tf.distributions.autoregressive_images import AutoregressiveImages
from vlae_tf.distributions.discretised_logistic_mixture import DiscretisedLogisticMixture

# Weights of R, G and B, from ITU-R BT.601, as in the paper.
_LUMINANCE = (0.299, 0.587, 0.114)


class PixelCNNLogisticMixture(AutoregressiveImages):
    """Autoregressive distribution over images of many levels, with a window.

        log p(x | c) = sum_i log DiscretisedLogisticMixture(x_i; f_i(x_window(i), c))        (nats)

    The channels of a pixel follow one another in one of two ways. A network without channel groups
    gives one mixture for all channels, which are coupled linearly in it (PixelCNN++). A network
    with as many `groups` as channels is itself autoregressive over them and gives a mixture for
    each: the form of the paper, which does not need the linear coupling.

    Args:
        network: autoregressive layer with a `receptive_field`, from images scaled to -1..1 and
            conditioning to `parameter_count` numbers for each pixel.
        conditioning: the decoder's maps, `(batch, height, width, maps)`.
        image_shape: `(height, width, channels)`.
        grey_window: whether the network sees 0.299 R + 0.587 G + 0.114 B alone, so that the window
            shows no colours.
        levels: number of values of a channel.
        training: whether the network runs as in training (dropout).

    Raises:
        ValueError: if the network has groups, but not one for each channel, or together with a
            `grey_window`, in which there are no channels to order.

    Shapes: batch `(batch,)`, event `(height, width, channels)`; `log_prob` takes levels of
    0..levels-1, float or integer, and is float32.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import PixelCNNLogisticMixture
        >>> from vlae_tf.layers import LocalPixelCNN
        >>> size = PixelCNNLogisticMixture.parameter_count(channels=3, components=5)
        >>> network = LocalPixelCNN(output_channels=size, filters=4, blocks=1)
        >>> p = PixelCNNLogisticMixture(network, keras.ops.ones((2, 6, 6, 3)), (6, 6, 3))
        >>> tuple(p.log_prob(keras.ops.zeros((2, 6, 6, 3))).shape)
        (2,)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equation 11, section 4.3 and
        appendix B;
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
        groups = getattr(network, "groups", 1)
        if groups > 1 and (groups != image_shape[-1] or grey_window):
            raise ValueError(
                "`network` must have `groups` of 1, or as many as the image has channels and no "
                f"`grey_window`. Received: network.groups={groups}, image_shape={image_shape}, "
                f"grey_window={grey_window}"
            )
        self.grey_window = grey_window
        self.levels = levels
        self._ordered = groups > 1
        super().__init__(network, conditioning, image_shape, training, parameters, name)

    @staticmethod
    def parameter_count(channels, components, groups=1):
        """Number of outputs that the network must have for a pixel."""
        of_group = DiscretisedLogisticMixture.parameter_count(channels // groups, components)
        return groups * of_group

    @property
    def noise_shape(self):
        channels = self.image_shape[-1]
        return (*self.image_shape[:2], 2 * channels if self._ordered else channels + 1)

    def scaled(self, images):
        images = 2.0 * images / (self.levels - 1) - 1.0
        if self.grey_window and self.image_shape[-1] == 3:
            weights = ops.convert_to_tensor(_LUMINANCE, images.dtype)
            images = ops.sum(images * weights, axis=-1, keepdims=True)
        return images

    def pixel_log_prob(self, parameters, images):
        if not self._ordered:
            return self.pixels(parameters).log_prob(images)
        return ops.sum(self.pixels(parameters).log_prob(images[..., None]), axis=-1)

    def choose(self, parameters, uniform):
        """The levels at uniform noise: for each mixture one number for the component, and one for
        each of its channels."""
        if not self._ordered:
            return self.pixels(parameters).from_noise(uniform)
        uniform = _by_channel(uniform, self.image_shape[-1])
        return self.pixels(parameters).from_noise(uniform)[..., 0]

    def pixels(self, parameters):
        """The mixture of each pixel or, where the network orders the channels, of each channel."""
        channels = self.image_shape[-1]
        if self._ordered:
            channels, parameters = 1, _by_channel(parameters, channels)
        return DiscretisedLogisticMixture.of_parameters(parameters, channels, self.levels)


def _by_channel(tensor, channels):
    """`(..., channels * n)` as `(..., channels, n)`."""
    return ops.stack(ops.split(tensor, channels, axis=-1), axis=-2)

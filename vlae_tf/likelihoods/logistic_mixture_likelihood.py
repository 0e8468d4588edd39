import keras

from vlae_tf.checks import check_flag
from vlae_tf.distributions import PixelCNNLogisticMixture
from vlae_tf.likelihoods.pixelcnn_likelihood import PixelCNNLikelihood


@keras.saving.register_keras_serializable(package="vlae_tf")
class LogisticMixtureLikelihood(PixelCNNLikelihood):
    """Autoregressive likelihood of grey or colour images of 256 levels, with a window.

        p(x | z) = prod_i DiscretisedLogisticMixture(x_i; f(x_window(i), z))

    What the window shows, the code need not carry: with `grey_window` it shows no colours, which
    are then left to the code. A `network` with as many `groups` as channels makes each channel of a
    pixel follow those before it through the network (the paper's decoder of colour images); one
    without couples them linearly in the mixture.

    Args:
        image_shape: `(height, width, channels)`.
        network: autoregressive layer `(images, conditioning) -> parameters`, which also takes
            one image for many rows of conditioning, with as many `output_channels` as
            `parameters_a_pixel` says; a `LocalPixelCNN` unless given.
        components: number of components of the mixture; PixelCNN++ has ten.
        grey_window: whether the window shows the luminance alone, 0.299 R + 0.587 G + 0.114 B.

    Input shapes: the decoder's maps, `(batch, height, width, maps)`, and images of 0..255,
    `(batch, *image_shape)`; output shape: the parameters of the mixtures, `(batch, height, width,
    parameters_a_pixel)`.

    Raises:
        ValueError: for an invalid number of components, a network with another number of outputs,
            or a `grey_window` of images without colours or of a network with channel groups.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import LocalPixelCNN
        >>> from vlae_tf.likelihoods import LogisticMixtureLikelihood
        >>> outputs = LogisticMixtureLikelihood.parameters_a_pixel((4, 4, 3), components=2)
        >>> network = LocalPixelCNN(outputs, filters=2, blocks=0)
        >>> family = LogisticMixtureLikelihood((4, 4, 3), network, components=2)
        >>> maps = keras.ops.ones((2, 4, 4, 5))
        >>> tuple(family.distribution(maps).log_prob(keras.ops.zeros((2, 4, 4, 3))).shape)
        (2,)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, section 4.3 and appendix B;
        Salimans et al., "PixelCNN++", 2017, section 2.1.
    """

    levels = 256

    def __init__(self, image_shape, network=None, components=10, grey_window=False, **kwargs):
        self.components = components
        self.grey_window = check_flag(grey_window, "grey_window")
        super().__init__(image_shape, network, **kwargs)
        groups = getattr(self.network, "groups", 1)
        if grey_window and (self.image_shape[-1] != 3 or groups != 1):
            raise ValueError(
                "`grey_window` must be False unless the images have 3 channels and the network 1 "
                f"group of them. Received: grey_window={grey_window!r}, "
                f"image_shape={self.image_shape}, network.groups={groups}"
            )

    @staticmethod
    def parameters_a_pixel(image_shape, components=10, groups=1, **settings):
        """Number of `output_channels` of a network with this number of channel groups."""
        return PixelCNNLogisticMixture.parameter_count(image_shape[-1], components, groups)

    def distribution(self, maps, training=False):
        """The `PixelCNNLogisticMixture` given the decoder's maps."""
        return PixelCNNLogisticMixture(
            self.network,
            maps,
            self.image_shape,
            grey_window=self.grey_window,
            levels=self.levels,
            training=training,
        )

    def _settings(self):
        return {"components": self.components}

    def _seen_shape(self):
        return (*self.image_shape[:2], 1) if self.grey_window else self.image_shape

from keras import ops

from vlae_tf.backend import tfd
from vlae_tf.distributions.autoregressive_images import AutoregressiveImages


class PixelCNNBernoulli(AutoregressiveImages):
    """Autoregressive distribution over binary images, with a window.

        log p(x | c) = sum_i log Bernoulli(x_i; sigmoid(f_i(x_window(i), c)))        (nats)

    Args:
        network: autoregressive layer with a `receptive_field`, from images scaled to -1..1 and
            conditioning to logits, one for each channel. Channels of one pixel are independent.
        conditioning: the decoder's maps, `(batch, height, width, maps)`.
        image_shape: `(height, width, channels)`.
        training: whether the network runs as in training (dropout).

    Shapes: batch `(batch,)`, event `(height, width, channels)`; `log_prob` takes images of {0, 1},
    float or integer, and is float32.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import PixelCNNBernoulli
        >>> from vlae_tf.layers import LocalPixelCNN
        >>> network = LocalPixelCNN(filters=4, blocks=1)
        >>> p = PixelCNNBernoulli(network, keras.ops.ones((2, 6, 6, 3)), (6, 6, 1))
        >>> tuple(p.log_prob(keras.ops.zeros((2, 6, 6, 1))).shape)
        (2,)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equation 11.
    """

    def __init__(
        self, network, conditioning, image_shape, training=False, name="PixelCNNBernoulli"
    ):
        parameters = dict(locals())
        super().__init__(network, conditioning, image_shape, training, parameters, name)

    def scaled(self, images):
        return 2.0 * images - 1.0

    def pixels(self, parameters):
        """The distribution of each channel of each pixel, from the network's outputs."""
        return tfd.Bernoulli(logits=parameters, dtype=parameters.dtype)

    def pixel_log_prob(self, parameters, images):
        return ops.sum(images * parameters - ops.softplus(parameters), axis=-1)

    def choose(self, parameters, uniform):
        """1 where the noise is below the pixel's probability."""
        return ops.cast(ops.sigmoid(parameters) > uniform, parameters.dtype)

    def _mode(self):
        """The greedy image: each pixel in turn at its most probable value, given those before."""
        return self.from_noise(0.5)

import keras

from vlae_tf.distributions import PixelCNNBernoulli
from vlae_tf.layers import LocalPixelCNN
from vlae_tf.likelihoods.likelihood import Likelihood


@keras.saving.register_keras_serializable(package="vlae_tf")
class PixelCNNLikelihood(Likelihood):
    """Autoregressive likelihood of binary images, with a window.

        p(x | z) = prod_i p(x_i | x_window(i), z)

    What the window shows, the code need not carry.

    Args:
        image_shape: `(height, width, channels)`.
        network: autoregressive layer `(images, conditioning) -> logits`, which also takes one
            image for many rows of conditioning; a `LocalPixelCNN` unless given.

    Input shapes: the decoder's maps, `(batch, height, width, maps)`, and images of {0, 1},
    `(batch, *image_shape)`; output shape: the logits, `(batch, *image_shape)`.

    Raises:
        ValueError: if the network's outputs do not fit the channels of the images.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import LocalPixelCNN
        >>> from vlae_tf.likelihoods import PixelCNNLikelihood
        >>> network = LocalPixelCNN(filters=2, blocks=0, first_kernel_size=3)
        >>> family = PixelCNNLikelihood((4, 4, 1), network)
        >>> tuple(family.distribution(keras.ops.ones((2, 4, 4, 3))).mode().shape)
        (2, 4, 4, 1)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equation 11.
    """

    def __init__(self, image_shape, network=None, **kwargs):
        super().__init__(image_shape, **kwargs)
        groups = getattr(network, "groups", 1)
        outputs = self.parameters_a_pixel(self.image_shape, groups=groups, **self._settings())
        self.network = network or LocalPixelCNN(output_channels=outputs, dtype=self.dtype_policy)
        if self.network.output_channels != outputs:
            raise ValueError(
                f"`network` must have {outputs} `output_channels`, the parameters of a pixel. "
                f"Received: network.output_channels={self.network.output_channels}"
            )

    @staticmethod
    def parameters_a_pixel(image_shape, **settings):
        """Number of `output_channels` that the network must have."""
        return image_shape[-1]

    def build(self, maps_shape):
        if not self.network.built:  # a deserialised network already is
            self.network.build((None, *self._seen_shape()), maps_shape)

    def call(self, maps, images, training=False):
        return self.distribution(maps, training=training).parameters_of(images)

    def compute_output_shape(self, maps_shape, images_shape=None):
        return (*maps_shape[:3], self.network.output_channels)

    def distribution(self, maps, training=False):
        """The `PixelCNNBernoulli` given the decoder's maps."""
        return PixelCNNBernoulli(self.network, maps, self.image_shape, training=training)

    def _settings(self):
        """The arguments that decide how many parameters a pixel has."""
        return {}

    def _seen_shape(self):
        """Shape of the network's view of an image."""
        return self.image_shape

    @classmethod
    def from_config(cls, config):
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})

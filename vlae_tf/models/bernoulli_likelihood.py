import keras

from vlae_tf.distributions import FactorisedBernoulli
from vlae_tf.layers import Conv2D


@keras.saving.register_keras_serializable(package="vlae_tf")
class BernoulliLikelihood(keras.layers.Layer):
    """Factorised likelihood of binary images.

        p(x | z) = prod_i Bernoulli(x_i; sigmoid(logits_i(z)))

    Args:
        image_shape: `(height, width, channels)`.

    Input shape: the decoder's maps, `(batch, height, width, maps)`; output shape: the logits,
    `(batch, *image_shape)`.

    Example:
        >>> import keras
        >>> from vlae_tf.models import BernoulliLikelihood
        >>> family = BernoulliLikelihood((4, 4, 1))
        >>> tuple(family.distribution(keras.ops.ones((2, 4, 4, 3))).mode().shape)
        (2, 4, 4, 1)

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.1.
    """

    levels = 2

    def __init__(self, image_shape, **kwargs):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self._output = Conv2D(self.image_shape[-1], 1, dtype="float32")

    def build(self, maps_shape):
        self._output.build(maps_shape)

    def call(self, maps, images=None, training=False):
        # As `PixelCNNLikelihood` is called, though no pixel depends on the image.
        return self._output(maps)

    def compute_output_shape(self, maps_shape, images_shape=None):
        return (maps_shape[0], *self.image_shape)

    def distribution(self, maps, training=False):
        """The `FactorisedBernoulli` given the decoder's maps."""
        return FactorisedBernoulli(self(maps))

    def get_config(self):
        return {**super().get_config(), "image_shape": self.image_shape}

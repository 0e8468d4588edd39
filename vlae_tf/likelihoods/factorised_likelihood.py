from vlae_tf.layers import Conv2D
from vlae_tf.likelihoods.likelihood import Likelihood


class FactorisedLikelihood(Likelihood):
    """Likelihood of images whose pixels are independent given the code: what its subclasses share.

        p(x | z) = prod_i p(x_i | z)

    A subclass defines the number of parameters of a pixel, and the distribution that they make.

    Args:
        image_shape: `(height, width, channels)`.

    Input shape: the decoder's maps, `(batch, height, width, maps)`; output shape: the parameters of
    the pixels, `(batch, height, width, parameters)`.

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.
    """

    def __init__(self, image_shape, **kwargs):
        super().__init__(image_shape, **kwargs)
        self._output = Conv2D(self._parameter_count(), 1, dtype="float32")

    def _parameter_count(self):
        raise NotImplementedError

    def build(self, maps_shape):
        self._output.build(maps_shape)

    def call(self, maps, images=None, training=False):
        # The arguments of `PixelCNNLikelihood`, though no pixel depends on the image.
        return self._output(maps)

    def compute_output_shape(self, maps_shape, images_shape=None):
        return (*maps_shape[:3], self._parameter_count())

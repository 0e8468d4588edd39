from keras import ops

from vlae_tf.backend import full_precision
from vlae_tf.checks import check_flag
from vlae_tf.layers import Conv2D
from vlae_tf.likelihoods.likelihood import Likelihood


class FactorisedLikelihood(Likelihood):
    """Likelihood of images whose pixels are independent given the code: what its subclasses share.

        p(x | z) = prod_i p(x_i | z)

    A subclass defines the number of parameters of a pixel, and the distribution that they make.

    Args:
        image_shape: `(height, width, channels)`.
        projection: whether a 1x1 convolution makes the parameters of the maps. If not, the maps are
            the parameters, but for a bias at each pixel.

    Input shape: the decoder's maps, `(batch, height, width, maps)`; output shape: the parameters of
    the pixels, `(batch, height, width, parameters)`.

    Raises:
        ValueError: without a projection, for maps of another number than the parameters of a pixel.

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.
    """

    def __init__(self, image_shape, projection=True, **kwargs):
        super().__init__(image_shape, **kwargs)
        self.projection = check_flag(projection, "projection")
        self._output = (
            Conv2D(self._parameter_count(), 1, dtype=self.variable_dtype) if projection else None
        )

    def _parameter_count(self):
        raise NotImplementedError

    def build(self, maps_shape):
        if self._output is not None:
            self._output.build(maps_shape)
            return
        expected = (*self.image_shape[:2], self._parameter_count())
        if tuple(maps_shape[1:]) != expected:
            raise ValueError(
                "`projection` may be False only if the decoder's maps are the parameters of the "
                f"pixels, of shape (batch, {', '.join(map(str, expected))}). "
                f"Received: projection=False, maps with shape {tuple(maps_shape)}"
            )
        self._bias = self.add_weight(
            shape=maps_shape[1:], initializer="zeros", autocast=False, name="bias"
        )

    def call(self, maps, images=None, training=False):
        # The arguments of `PixelCNNLikelihood`, though no pixel depends on the image.
        if self._output is None:
            return full_precision(maps) + self._bias
        return self._output(maps)

    def outputs_jacobian(self, maps_jacobian):
        """d parameters / d code, from d maps / d code `(batch, latent_dim, height, width, maps)`.

        The parameters are linear in the maps, so it is the kernel applied to each derivative.
        """
        maps_jacobian = full_precision(maps_jacobian)
        if self._output is None:
            return maps_jacobian
        rows = ops.reshape(maps_jacobian, (-1, *maps_jacobian.shape[2:]))
        rows = self._output.apply_kernel(rows, self._output.kernel)
        return ops.reshape(rows, (-1, *maps_jacobian.shape[1:4], self._parameter_count()))

    def compute_output_shape(self, maps_shape, images_shape=None):
        return (*maps_shape[:3], self._parameter_count())

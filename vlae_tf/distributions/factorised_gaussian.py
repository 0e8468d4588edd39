import math

from keras import ops

from vlae_tf.backend import full_precision, tfd, tfp
from vlae_tf.distributions.factorised_images import FactorisedImages


class FactorisedGaussian(FactorisedImages):
    """Images of many levels whose pixels are independent Gaussians given the code.

        log p(x | z) = sum_i log N(x_i; loc_i, scale^2)        (nats)

    It is a density, taken at whole numbers one level apart. For scales of a level or more these sum
    to 1 within 1e-8, less what lies beyond the lowest and the highest level: so the figures are
    log-likelihoods of the images, and can be compared with those of discrete distributions. A drawn
    pixel is rounded to a level.

    Args:
        loc: means, in levels, `(batch, height, width, channels)`.
        scale: standard deviation of every pixel, in levels, a scalar.
        levels: number of values of a channel.

    Shapes: batch `(batch,)`, event `(height, width, channels)`; `log_prob` takes levels, float or
    integer, and is float32.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import FactorisedGaussian
        >>> p = FactorisedGaussian(keras.ops.full((2, 4, 4, 1), 100.2), 3.0)
        >>> float(keras.ops.max(p.mode()))
        100.0

    Reference:
        Park et al., "Variational Laplace Autoencoders", ICML 2019, section 3.
    """

    def __init__(self, loc, scale, levels=256, name="FactorisedGaussian"):
        parameters = dict(locals())
        self._levels = levels
        pixels = tfd.Normal(loc=full_precision(loc), scale=full_precision(scale))
        super().__init__(pixels, parameters, name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        axes = {"loc": 3, "scale": 0}
        return {
            name: tfp.util.ParameterProperties(event_ndims=count) for name, count in axes.items()
        }

    def _log_prob(self, images):
        pixels = self.distribution
        distance = (ops.cast(images, pixels.loc.dtype) - pixels.loc) / pixels.scale
        terms = ops.square(distance) + 2.0 * ops.log(pixels.scale) + math.log(2.0 * math.pi)
        return -0.5 * ops.sum(terms, axis=(-3, -2, -1))

    def choose(self, uniform):
        """The pixels at uniform noise: the Gaussian's quantile, as a level."""
        inside = ops.clip(full_precision(uniform), 2.0**-24, 1.0 - 2.0**-24)
        normal = math.sqrt(2.0) * ops.erfinv(2.0 * inside - 1.0)
        return self._level(self.distribution.loc + self.distribution.scale * normal)

    def _mode(self):
        return self._level(self.distribution.loc)

    def _level(self, values):
        return ops.clip(ops.round(values), 0.0, self._levels - 1.0)

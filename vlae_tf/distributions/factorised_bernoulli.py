from keras import ops

from vlae_tf.backend import full_precision, tfd, tfp
from vlae_tf.distributions.factorised_images import FactorisedImages


class FactorisedBernoulli(FactorisedImages):
    """Binary images whose pixels are independent given the code.

        log p(x | z) = sum_i log Bernoulli(x_i; sigmoid(logits_i))        (nats)

    Args:
        logits: logits of the pixels, `(batch, height, width, channels)`.

    Shapes: batch `(batch,)`, event `(height, width, channels)`; `log_prob` takes images of {0, 1},
    float or integer, and is float32.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import FactorisedBernoulli
        >>> tuple(FactorisedBernoulli(keras.ops.zeros((2, 4, 4, 1))).mode().shape)
        (2, 4, 4, 1)

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.1.
    """

    def __init__(self, logits, name="FactorisedBernoulli"):
        parameters = dict(locals())
        # The sum over 784 pixels does not fit in bfloat16.
        logits = full_precision(logits)
        pixels = tfd.Bernoulli(logits=logits, dtype=logits.dtype)
        super().__init__(pixels, parameters, name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"logits": tfp.util.ParameterProperties(event_ndims=3)}

    def _log_prob(self, images):
        # One softplus a pixel, which halves the time of a fully connected model's step: TFP takes
        # two and chooses.
        logits = self.distribution.logits
        signs = 1.0 - 2.0 * ops.cast(images, logits.dtype)
        return -ops.sum(ops.softplus(signs * logits), axis=(-3, -2, -1))

    def choose(self, uniform):
        """The pixels at uniform noise: 1 where the noise is below the pixel's probability."""
        probability = self.distribution.probs_parameter()
        return ops.cast(probability > ops.cast(uniform, probability.dtype), probability.dtype)

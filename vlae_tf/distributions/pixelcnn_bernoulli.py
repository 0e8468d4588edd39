from keras import ops

from vlae_tf.backend import TensorShape, float32, tfd, tfp
from vlae_tf.distributions.column_sampling import draw, network_parameters


class PixelCNNBernoulli(tfd.Distribution):
    """Autoregressive distribution over binary images, with a window.

        log p(x | c) = sum_i log Bernoulli(x_i; sigmoid(f_i(x_window(i), c)))        (nats)

    Args:
        network: an autoregressive layer with a `receptive_field`, from images scaled to -1..1 and
            conditioning to logits.
        conditioning: the decoder's maps, `(batch, height, width, maps)`.
        image_shape: `(height, width, channels)`. Channels of one pixel are independent.
        training: passed on to the network (dropout).

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
        self.network = network
        self.conditioning = conditioning
        self.image_shape = tuple(image_shape)
        self.training = training
        super().__init__(
            dtype=float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"conditioning": tfp.util.ParameterProperties(event_ndims=3)}

    def _event_shape(self):
        return TensorShape(self.image_shape)

    def _event_shape_tensor(self):
        return list(self.image_shape)

    def logits(self, images):
        """The logits of every pixel given the pixels before it, for images of {0, 1}."""
        return network_parameters(self.network, images, self.conditioning, self.training)

    def _log_prob(self, images):
        images = ops.cast(images, "float32")
        if len(images.shape) == 3:
            # One image for the whole batch.
            images = images[None]
        if len(images.shape) > 4:
            return ops.stack([self._log_prob(image) for image in ops.unstack(images)])
        logits = self.logits(images)
        # The last axes are summed in float32: log(sigmoid) of 784 pixels does not fit in bfloat16.
        return ops.sum(images * logits - ops.softplus(logits), axis=(1, 2, 3))

    def _sample_n(self, n, seed=None):
        shape = (n, *ops.shape(self.conditioning)[:1], *self.image_shape)
        uniform = tfd.Uniform(0.0, 1.0).sample(shape, seed=seed)
        return ops.stack([self.transform_uniform(u) for u in ops.unstack(uniform, n)])

    def _mode(self):
        """Each pixel at its most probable in turn; the most probable image nobody can find."""
        return self.transform_uniform(0.5)

    def transform_uniform(self, uniform, known=None, mask=None):
        """The image at uniform noise: pixel by pixel, 1 where the noise is below its probability.

        Deterministic: the same noise gives the same image, whatever else is in the batch. The
        pixels of `known` where `mask` is true stay as they are, and the others follow them; that is
        a draw from p(unknown | known, c) if no known pixel sees an unknown one.

        Args:
            uniform: `(batch, *image_shape)`, or one number.
            known: images of {0, 1}, `(batch, *image_shape)`.
            mask: boolean, of the same shape.
        """
        shape = (*ops.shape(self.conditioning)[:1], *self.image_shape)
        inputs = [ops.broadcast_to(ops.cast(uniform, "float32"), shape)]
        if known is not None:
            inputs += [
                ops.broadcast_to(ops.cast(tensor, "float32"), shape) for tensor in (known, mask)
            ]

        def choose(logits, uniform, known=None, mask=None):
            pixels = ops.cast(ops.sigmoid(logits) > uniform, "float32")
            return pixels if known is None else ops.where(mask > 0, known, pixels)

        return draw(self.network, self.conditioning, choose, inputs, self.training)

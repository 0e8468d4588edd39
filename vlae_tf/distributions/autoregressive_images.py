from keras import ops

from vlae_tf.backend import TensorShape, full_precision, tfd, tfp
from vlae_tf.distributions.image_distribution import ImageDistribution
from vlae_tf.layers.wavefront import draw


class AutoregressiveImages(ImageDistribution, tfd.Distribution):
    """Autoregressive distribution over images, with a window: what its subclasses share.

        log p(x | c) = sum_i log p(x_i; f_i(x_window(i), c))        (nats)

    A subclass defines the network's input, and a pixel's distribution given the network's output.

    Args:
        network: autoregressive layer with a `receptive_field`, from images scaled to -1..1 and
            conditioning to parameters of each pixel.
        conditioning: the decoder's maps, `(batch, height, width, maps)`.
        image_shape: `(height, width, channels)`.
        training: whether the network runs as in training (dropout).

    Shapes: batch `(batch,)`, event `(height, width, channels)`; `log_prob` takes levels, float or
    integer, and is float32.

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equation 11.
    """

    def __init__(self, network, conditioning, image_shape, training, parameters, name):
        self.network = network
        self.conditioning = conditioning
        self.image_shape = tuple(image_shape)
        self.training = training
        super().__init__(
            dtype=full_precision(conditioning).dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    # === For subclasses to define ===

    @property
    def noise_shape(self):
        """Shape of the uniform noise of one image, `(height, width, noise_channels)`."""
        return self.image_shape

    def scaled(self, images):
        """The network's input: levels, float32, scaled to -1..1."""
        raise NotImplementedError

    def pixels(self, parameters):
        """The distribution of each pixel, from the network's outputs."""
        raise NotImplementedError

    def pixel_log_prob(self, parameters, images):
        """log p of each pixel, `(batch, height, width)`, from the network's outputs."""
        raise NotImplementedError

    def choose(self, parameters, uniform):
        """The pixels at uniform noise, from the network's outputs at the same places."""
        raise NotImplementedError

    # === What they share ===

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"conditioning": tfp.util.ParameterProperties(event_ndims=3)}

    def _event_shape(self):
        return TensorShape(self.image_shape)

    def _event_shape_tensor(self):
        return list(self.image_shape)

    def parameters_of(self, images):
        """The network's outputs for every pixel given the pixels before it."""
        return self._outputs(ops.cast(images, self.dtype), self.conditioning)

    def _outputs(self, images, conditioning, cache=None, current=None):
        kwargs = {}
        if cache is not None:
            cache.current = self.scaled(current)
            kwargs["cache"] = cache
        outputs = self.network(self.scaled(images), conditioning, training=self.training, **kwargs)
        return full_precision(outputs)

    def _log_prob(self, images):
        images = ops.cast(images, self.dtype)
        if len(images.shape) == 3:
            # One image for the whole batch.
            images = images[None]
        if len(images.shape) > 4:
            return ops.stack([self._log_prob(image) for image in ops.unstack(images)])
        # Summed in full precision: the sum of 784 pixels does not fit in bfloat16.
        return ops.sum(self.pixel_log_prob(self.parameters_of(images), images), axis=(1, 2))

    def _sample_n(self, n, seed=None):
        shape = (n, *ops.shape(self.conditioning)[:1], *self.noise_shape)
        uniform = tfd.Uniform(0.0, 1.0).sample(shape, seed=seed)
        return ops.stack([self.from_noise(u) for u in ops.unstack(uniform, n)])

    def from_noise(self, uniform, known=None, mask=None):
        """The image at uniform noise, pixel by pixel.

        Deterministic: the same noise gives the same image, whatever else is in the batch. The
        pixels of `known` where `mask` is true stay as they are, and the others follow them; that is
        a draw from p(unknown | known, c) if no known pixel sees an unknown one.

        Args:
            uniform: uniform noise, `(batch, *noise_shape)`, or one number for all.
            known: images, `(batch, *image_shape)`.
            mask: boolean tensor, `(batch, *image_shape)`.
        """
        inputs = [(uniform, self.noise_shape)]
        if known is not None:
            inputs += [(tensor, self.image_shape) for tensor in (known, mask)]

        def choose(parameters, uniform, known=None, mask=None):
            pixels = self.choose(parameters, uniform)
            return pixels if known is None else ops.where(mask > 0, known, pixels)

        rows = ops.shape(self.conditioning)[:1]
        inputs = [
            ops.broadcast_to(ops.cast(tensor, self.dtype), (*rows, *shape))
            for tensor, shape in inputs
        ]
        return self.drawn(choose, inputs)

    def drawn(self, choose, inputs):
        """The image whose pixels `choose` gives, column by column: see `layers.wavefront.draw`.

        Args:
            choose: function of the network's outputs, and of the inputs at the same places.
            inputs: tensors `(batch, height, width, ...)` in the dtype of the distribution.
        """
        channels = self.image_shape[-1]
        return draw(self.network, self._outputs, self.conditioning, choose, inputs, channels)

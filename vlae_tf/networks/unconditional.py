import keras
from keras import ops


@keras.saving.register_keras_serializable(package="vlae_tf")
class Unconditional(keras.layers.Layer):
    """Decoder that ignores the code: the paper's control, which shows what the code is worth.

        maps(z) = decoder(0)    for every z

    The wrapped decoder runs once, on a code of zeros, and all images get the same maps.

    Args:
        decoder: layer from codes to maps. It is given a code of size 1, or of the
            size that its `rungs` or its `code_size` ask for.

    Input shape: `(batch, latent_dim)`; output shape: that of the decoder.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import ResNetDecoder, Unconditional
        >>> decoder = ResNetDecoder((4, 4, 1), maps=2, filters=[4], blocks=0, units=4)
        >>> tuple(Unconditional(decoder)(keras.ops.ones((3, 1))).shape)
        (3, 4, 4, 2)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, table 1 ("unconditional decoder").
    """

    # A model asks this, to say whether it has a code.
    reads_code = False

    def __init__(self, decoder, **kwargs):
        super().__init__(**kwargs)
        self.decoder = decoder

    @property
    def image_shape(self):
        """The decoder's, where it has one."""
        return self.decoder.image_shape

    def build(self, input_shape):
        if not self.decoder.built:
            self.decoder.build((1, self._code_size))

    @property
    def _code_size(self):
        """The size of a code that the decoder takes: what it asks for, or else 1."""
        rungs, size = (getattr(self.decoder, name, None) for name in ("rungs", "code_size"))
        return sum(rungs) if rungs else size or 1

    def call(self, inputs, training=False):
        # A code of size 0 would say as little, but oneDNN ends the process at a product over
        # nothing.
        code = ops.zeros((1, self._code_size), dtype=self.variable_dtype)
        maps = self.decoder(code, training=training)
        return ops.broadcast_to(maps, (ops.shape(inputs)[0], *maps.shape[1:]))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.decoder.compute_output_shape((1, self._code_size))[1:])

    def get_config(self):
        decoder = keras.saving.serialize_keras_object(self.decoder)
        return {**super().get_config(), "decoder": decoder}

    @classmethod
    def from_config(cls, config):
        decoder = keras.saving.deserialize_keras_object(config["decoder"])
        return cls(**{**config, "decoder": decoder})

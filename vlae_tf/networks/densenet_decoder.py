import keras

from vlae_tf.layers import DenseBlock
from vlae_tf.networks.resnet_decoder import ResNetDecoder


@keras.saving.register_keras_serializable(package="vlae_tf")
class DenseNetDecoder(ResNetDecoder):
    """Densely connected network from a code to maps: `ResNetDecoder` of `DenseBlock`s.

    One dense block takes the place of two residual ones, so give half as many `blocks`. The
    arguments are those of `ResNetDecoder`.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import DenseNetDecoder
        >>> decoder = DenseNetDecoder((8, 8, 3), maps=4, filters=[4, 8], blocks=1, units=16)
        >>> tuple(decoder(keras.ops.ones((2, 3))).shape)
        (2, 8, 8, 4)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix B.
    """

    block = DenseBlock

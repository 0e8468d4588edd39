import keras

from vlae_tf.layers import DenseBlock
from vlae_tf.networks.resnet_encoder import ResNetEncoder


@keras.saving.register_keras_serializable(package="vlae_tf")
class DenseNetEncoder(ResNetEncoder):
    """Densely connected network from an image to features: `ResNetEncoder` of `DenseBlock`s.

    One dense block takes the place of two residual ones, so give half as many `blocks`. The
    arguments are those of `ResNetEncoder`.

    Example:
        >>> import keras
        >>> from vlae_tf.networks import DenseNetEncoder
        >>> encoder = DenseNetEncoder(filters=[4, 8], blocks=1, units=16)
        >>> tuple(encoder(keras.ops.ones((2, 8, 8, 3))).shape)
        (2, 16)

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix B.
    """

    block = DenseBlock

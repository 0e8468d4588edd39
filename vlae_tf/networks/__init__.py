"""Networks: encoders, from images to features, and decoders, from codes to maps."""

from vlae_tf.networks.densenet_decoder import DenseNetDecoder
from vlae_tf.networks.densenet_encoder import DenseNetEncoder
from vlae_tf.networks.resnet_decoder import ResNetDecoder
from vlae_tf.networks.resnet_encoder import ResNetEncoder

__all__ = ["DenseNetDecoder", "DenseNetEncoder", "ResNetDecoder", "ResNetEncoder"]

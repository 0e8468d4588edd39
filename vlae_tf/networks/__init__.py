"""Networks: encoders, from images to features, and decoders, from codes to maps."""

from vlae_tf.networks.resnet_decoder import ResNetDecoder
from vlae_tf.networks.resnet_encoder import ResNetEncoder
from vlae_tf.networks.unconditional import Unconditional

__all__ = ["ResNetDecoder", "ResNetEncoder", "Unconditional"]

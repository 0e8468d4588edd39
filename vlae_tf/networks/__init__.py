"""Networks: encoders, from images to features, and decoders, from codes to maps."""

from vlae_tf.networks.chain_decoder import ChainDecoder
from vlae_tf.networks.ladder_decoder import LadderDecoder
from vlae_tf.networks.ladder_encoder import LadderEncoder
from vlae_tf.networks.mlp_decoder import MLPDecoder
from vlae_tf.networks.mlp_encoder import MLPEncoder
from vlae_tf.networks.resnet_decoder import ResNetDecoder
from vlae_tf.networks.resnet_encoder import ResNetEncoder
from vlae_tf.networks.unconditional import Unconditional

__all__ = [
    "ChainDecoder",
    "LadderDecoder",
    "LadderEncoder",
    "MLPDecoder",
    "MLPEncoder",
    "ResNetDecoder",
    "ResNetEncoder",
    "Unconditional",
]

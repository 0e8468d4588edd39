"""Keras layers: masked convolutions, PixelCNNs, MADE, residual blocks. One public class a file."""

from vlae_tf.layers.composite_layer import CompositeLayer
from vlae_tf.layers.conditional_gaussian import ConditionalGaussian
from vlae_tf.layers.configured_layer import ConfiguredLayer
from vlae_tf.layers.conv2d import Conv2D
from vlae_tf.layers.conv_made import ConvMADE
from vlae_tf.layers.data_initialisation import initialize_from_data
from vlae_tf.layers.dense import Dense
from vlae_tf.layers.dense_block import DenseBlock
from vlae_tf.layers.gated_masked_block import GatedMaskedBlock
from vlae_tf.layers.gated_pixelcnn import GatedPixelCNN
from vlae_tf.layers.gated_stack_block import GatedStackBlock
from vlae_tf.layers.kernel_layer import KernelLayer
from vlae_tf.layers.local_pixelcnn import LocalPixelCNN
from vlae_tf.layers.made import MADE
from vlae_tf.layers.masked_conv2d import MaskedConv2D
from vlae_tf.layers.masked_dense import MaskedDense
from vlae_tf.layers.mlp import MLP
from vlae_tf.layers.residual_block import ResidualBlock
from vlae_tf.layers.residual_pixelcnn import ResidualPixelCNN
from vlae_tf.layers.wavefront import ReceptiveField

__all__ = [
    "MADE",
    "MLP",
    "CompositeLayer",
    "ConditionalGaussian",
    "ConfiguredLayer",
    "Conv2D",
    "ConvMADE",
    "Dense",
    "DenseBlock",
    "GatedMaskedBlock",
    "GatedPixelCNN",
    "GatedStackBlock",
    "KernelLayer",
    "LocalPixelCNN",
    "MaskedConv2D",
    "MaskedDense",
    "ReceptiveField",
    "ResidualBlock",
    "ResidualPixelCNN",
    "initialize_from_data",
]

"""Activations that compute in full precision whatever the policy, and the halves that a gate takes.

Why not Keras' own: where no convolution comes right before, float32 is a third faster than
TensorFlow's bfloat16 kernels on a CPU, and rounds once.
"""

import keras
from keras import ops

from vlae_tf.backend import full_precision, set_apart

# Of activations that are linear on either side of 0: their slopes below and above it.
_SLOPES = {
    keras.activations.linear: (1.0, 1.0),
    keras.activations.relu: (0.0, 1.0),
    keras.activations.leaky_relu: (0.2, 1.0),
}


def elu(inputs):
    """`max(x, 0) + min(exp(x) - 1, 0)`, in the dtype of `inputs`.

    Right after a convolution `keras.ops.elu` is faster: TensorFlow makes one kernel of both.
    """
    return ops.cast(ops.elu(set_apart(full_precision(inputs))), inputs.dtype)


def sigmoid(inputs):
    """`1 / (1 + exp(-x))`, in the dtype of `inputs`."""
    return ops.cast(ops.sigmoid(full_precision(inputs)), inputs.dtype)


def positive_scale(inputs):
    """A standard deviation of any positive size: a softplus, 1 where `inputs` is 0."""
    return ops.softplus(inputs + 0.5413) + 1e-4


def slopes(activation):
    """Slopes `(below, above)` of an activation that is linear on either side of 0, else None."""
    return _SLOPES.get(activation)


def gate_halves(inputs, groups=1):
    """The two halves of the channels that a gate takes: each group of channels has its own."""
    if groups == 1:
        return ops.split(inputs, 2, axis=-1)
    parts = ops.split(inputs, 2 * groups, axis=-1)
    return ops.concatenate(parts[::2], axis=-1), ops.concatenate(parts[1::2], axis=-1)

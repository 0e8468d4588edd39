"""Activations that compute in full precision whatever the policy, and gates.

Why not Keras' own: where no convolution comes right before, float32 is a third faster than
TensorFlow's bfloat16 kernels on a CPU, and rounds once. And in training they keep for the gradient
what is kept in any case, or half as large, in the place of numbers in full precision.
"""

import keras
from keras import ops

from vlae_tf.backend import after, full_precision, set_apart, tanh

# Of activations that are linear on either side of 0: their slopes below and above it.
_SLOPES = {
    keras.activations.linear: (1.0, 1.0),
    keras.activations.relu: (0.0, 1.0),
    keras.activations.leaky_relu: (0.2, 1.0),
}


def elu(inputs, training=False):
    """`max(x, 0) + min(exp(x) - 1, 0)`, in the dtype of `inputs`.

    Right after a convolution `keras.ops.elu` is faster: TensorFlow makes one kernel of both.
    """
    return _trained_elu(inputs) if training else _elu(inputs)


def _elu(inputs):
    return ops.cast(ops.elu(set_apart(full_precision(inputs))), inputs.dtype)


@ops.custom_gradient
def _trained_elu(inputs):
    outputs = _elu(inputs)

    def gradient(upstream):
        slope = ops.minimum(full_precision(after(upstream, outputs)), 0.0) + 1.0
        return ops.cast(full_precision(upstream) * slope, upstream.dtype)

    return outputs, gradient


def sigmoid(inputs):
    """`1 / (1 + exp(-x))`, in the dtype of `inputs`."""
    return ops.cast(ops.sigmoid(full_precision(inputs)), inputs.dtype)


def activate(activation, inputs):
    """`activation(inputs)`, in the dtype of `inputs` also where that is Keras' tanh."""
    return tanh(inputs) if activation is keras.activations.tanh else activation(inputs)


def positive_scale(inputs):
    """A standard deviation of any positive size: a softplus, 1 where `inputs` is 0."""
    return ops.softplus(inputs + 0.5413) + 1e-4


def slopes(activation):
    """Slopes `(below, above)` of an activation that is linear on either side of 0, else None."""
    return _SLOPES.get(activation)


def gate(inputs, groups=1, bounded=False, training=False):
    """`a * sigmoid(b)`, or `tanh(a) * sigmoid(b)`, of the two halves of the channels.

    Args:
        inputs: maps, `(..., 2 * channels)`.
        groups: number of groups of channels, each of which has halves of its own.
        bounded: whether to take the tanh.
        training: whether a gradient will be asked for.
    """

    def factors(inputs):
        a, b = _halves(inputs, groups)
        return tanh(a) if bounded else a, sigmoid(b)

    @ops.custom_gradient
    def gated(inputs):
        a, s = factors(inputs)

        def gradient(upstream):
            to_a = upstream * after(upstream, s)
            to_b = to_a * after(upstream, a) * (1.0 - after(upstream, s))
            if bounded:
                to_a = to_a * (1.0 - ops.square(after(upstream, a)))
            return _joined(to_a, to_b, groups)

        return a * s, gradient

    if training:
        return gated(inputs)
    a, s = factors(inputs)
    return a * s


def _halves(inputs, groups):
    if groups == 1:
        return ops.split(inputs, 2, axis=-1)
    parts = ops.split(inputs, 2 * groups, axis=-1)
    return ops.concatenate(parts[::2], axis=-1), ops.concatenate(parts[1::2], axis=-1)


def _joined(a, b, groups):
    if groups == 1:
        return ops.concatenate([a, b], axis=-1)
    halves = [ops.split(half, groups, axis=-1) for half in (a, b)]
    return ops.concatenate([part for pair in zip(*halves, strict=True) for part in pair], axis=-1)

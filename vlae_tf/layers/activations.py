"""Activations in float32 whatever the policy: rounded once, and for sums that nothing fuses with
a convolution a third faster than TensorFlow's bfloat16 kernels on a CPU."""

from keras import ops

from vlae_tf.backend import set_apart


def elu(inputs):
    """`max(x, 0) + min(exp(x) - 1, 0)`, in the dtype of `inputs`.

    Right after a convolution `keras.ops.elu` is faster: TensorFlow makes one kernel of both.
    """
    return ops.cast(ops.elu(set_apart(ops.cast(inputs, "float32"))), inputs.dtype)


def sigmoid(inputs):
    """`1 / (1 + exp(-x))`, in the dtype of `inputs`."""
    return ops.cast(ops.sigmoid(ops.cast(inputs, "float32")), inputs.dtype)

"""What tests need on either backend: derivatives, weights without a zero, stateless seeds."""

import keras
import numpy as np
from keras import ops


def gradient(function, x):
    """d function(x) / d x of a scalar function, as a NumPy array."""
    x = ops.convert_to_tensor(np.asarray(x, "float32"))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x, unconnected_gradients="zero").numpy()
    import jax

    return np.asarray(jax.jit(jax.grad(function))(x))


def jacobian(function, x):
    """d function(x[None])[0] / d x, shape (*output, *input), of a function that maps rows to rows.

    One row for each output, all in one backward pass; so it takes for granted that rows do not mix.
    """
    x = np.asarray(x, "float32")
    shape = tuple(function(ops.convert_to_tensor(x[None])).shape[1:])
    size = int(np.prod(shape))
    pick = np.eye(size, dtype="float32").reshape(size, *shape)
    rows = np.broadcast_to(x, (size, *x.shape))
    return gradient(lambda r: ops.sum(function(r) * pick), rows).reshape(*shape, *x.shape)


def weight_gradients(layer, loss):
    """The gradient of `loss()` with respect to every trainable weight of `layer`, by its path."""
    weights = layer.trainable_variables
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss()
        grads = tape.gradient(value, [w.value for w in weights], unconnected_gradients="zero")
    else:
        import jax

        def stateless(values):
            with keras.StatelessScope(state_mapping=zip(weights, values, strict=True)):
                return loss()

        grads = jax.jit(jax.grad(stateless))([w.value for w in weights])
    return {w.path: ops.convert_to_numpy(g) for w, g in zip(weights, grads, strict=True)}


def randomise(layer, scale=0.5, seed=0):
    """Give every weight normal values, masked ones too; returns the layer."""
    random = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign(scale * random.standard_normal(weight.shape))
    return layer


def stateless_seed(number):
    """A seed with which TFP draws the same every time; a plain integer also counts the calls."""
    state = keras.random.SeedGenerator(number).next()
    return ops.cast(state, "int32") if keras.backend.backend() == "tensorflow" else state

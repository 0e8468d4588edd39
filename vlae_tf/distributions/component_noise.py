import math

from keras import ops

from vlae_tf.backend import full_precision


def choose_component(logits, noise):
    """The component of a mixture at standard normal noise, and what is left of the noise.

        u = Phi(noise),    k = the component with C_k <= u < C_k + pi_k,    C_k = sum_{j < k} pi_j
        rest = Phi^-1((u - C_k) / pi_k) ~ N(0, 1), independent of k

    So one normal number gives a component and a normal number: a mixture needs no more noise than
    it has dimensions, as `CodeDistribution` asks. No gradient reaches the weights this way.

    Args:
        logits: logarithms of the weights pi, not normalised, `(..., components)`.
        noise: standard normal noise, `(...,)`, broadcast against the leading axes of `logits`.

    Returns:
        `one_hot`, float32 `(..., components)`, and `rest`, float32 `(...,)`.

    Example:
        >>> import keras
        >>> from vlae_tf.distributions import choose_component
        >>> one_hot, rest = choose_component(keras.ops.zeros((1, 2)), keras.ops.array([-1.0, 1.0]))
        >>> keras.ops.convert_to_numpy(one_hot)[:, 1].tolist()
        [0.0, 1.0]
    """
    logits = full_precision(logits)
    weights = ops.softmax(ops.stop_gradient(logits), axis=-1)
    upper = ops.cumsum(weights, axis=-1)
    uniform = 0.5 * (1.0 + ops.erf(ops.cast(noise, logits.dtype) / math.sqrt(2.0)))[..., None]
    # The last sum may be less than one by a rounding.
    index = ops.sum(ops.cast(upper[..., :-1] <= uniform, "int32"), axis=-1)
    # Where the noise rounds to the upper end, the last component that has a weight.
    places = ops.arange(logits.shape[-1], dtype="int32")
    index = ops.minimum(index, ops.max(ops.where(weights > 0, places, 0), axis=-1))
    one_hot = ops.one_hot(index, logits.shape[-1], dtype=logits.dtype)
    weight = ops.sum(one_hot * weights, axis=-1)
    lower = ops.sum(one_hot * (upper - weights), axis=-1)
    inside = ops.clip((uniform[..., 0] - lower) / weight, 2.0**-24, 1.0 - 2.0**-24)
    return one_hot, math.sqrt(2.0) * ops.erfinv(2.0 * inside - 1.0)

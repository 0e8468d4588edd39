"""Noise: of each row of a batch by itself, on tensors, and pairs that are always the same."""

import keras
import numpy as np

from vlae_tf.backend import BACKEND, own_rows, tf

if BACKEND == "jax":
    import jax


def paired_normal(count, size):
    """Always the same normal draws, float32 `(count, size)`: pairs of opposite sign, with mean 0
    and variance 1 exactly."""
    half = np.random.default_rng(0).standard_normal((count // 2, size))
    half /= np.sqrt(np.mean(half**2, axis=0))
    return np.concatenate([half, -half]).astype("float32")


def batch_normal(shape, seed, axis=0):
    """Standard normal noise of a batch, float32, the same however devices share the batch.

    Where replicas of TensorFlow have some of the rows each, `keras.random.normal` gives all of them
    the same noise. Here each draws that of the whole batch and takes its own rows.

    Args:
        shape: shape of the noise, with the rows at hand on one axis.
        seed: a `keras.random.SeedGenerator`.
        axis: axis of the rows, not negative.

    Example:
        >>> import keras
        >>> from vlae_tf.noise import batch_normal
        >>> tuple(batch_normal((5, 8, 2), keras.random.SeedGenerator(0), axis=1).shape)
        (5, 8, 2)
    """
    rows = shape[axis]
    total, before = own_rows(rows)
    shape = (*shape[:axis], total, *shape[axis + 1 :])
    noise = keras.random.normal(shape, dtype="float32", seed=seed)
    return (
        noise if total is rows else noise[(slice(None),) * axis + (slice(before, before + rows),)]
    )


def row_normal(seeds, shape, salt=0):
    """Standard normal noise `(batch, *shape)`: row i depends on `seeds[i]` and `salt` alone."""
    return _row_noise(seeds, shape, salt, "normal")


def row_uniform(seeds, shape, salt=0):
    """Uniform noise on [0, 1), `(batch, *shape)`: row i depends on `seeds[i]` and `salt` alone."""
    return _row_noise(seeds, shape, salt, "uniform")


def _row_noise(seeds, shape, salt, kind):
    if BACKEND == "tensorflow":

        def draw(seed):
            # Bits of an explicit generator, made into numbers here: `auto` may pick another one,
            # and XLA makes other floats of the same bits (tensorflow#117644).
            bits = tf.random.stateless_uniform(
                shape, tf.stack([seed, salt]), None, None, tf.uint32, alg="philox"
            )
            # The 24 bits that a float32 holds: 0 <= uniform < 1.
            bits = tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32))
            uniform = tf.cast(bits, tf.float32) * 2.0**-24
            if kind == "uniform":
                return uniform
            # Halfway between two of its values, but not where that is rounded up to 1: the last
            # would be infinite.
            return tf.math.ndtri(tf.minimum(uniform + 2.0**-25, 1 - 2.0**-24))

        return tf.map_fn(
            # Row by row, as the last bits of a vectorised loop depend on where a number stands.
            draw,
            tf.cast(tf.convert_to_tensor(seeds), tf.int32),
            fn_output_signature=tf.TensorSpec(shape, tf.float32),
        )
    draw = {"normal": jax.random.normal, "uniform": jax.random.uniform}[kind]
    return jax.vmap(lambda seed: draw(jax.random.fold_in(jax.random.PRNGKey(seed), salt), shape))(
        jax.numpy.asarray(seeds)
    )

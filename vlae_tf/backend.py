"""The TFP substrate that fits Keras' backend: the one file that knows there are two.

`tfd`, `tfb` and `tfp` are TensorFlow Probability on the TensorFlow backend and its JAX substrate
on the JAX backend, where TensorFlow need not be installed. The random helpers hide the one thing
on which the two differ: how a seed is written.
"""

import keras
import numpy as np

BACKEND = keras.backend.backend()

if BACKEND == "tensorflow":
    import tensorflow as tf
    import tensorflow_probability as tfp
elif BACKEND == "jax":
    import jax
    import jax.interpreters.xla

    # TFP 0.25 looks this table up by a name that JAX 0.7 removed; the object itself is still there.
    if not hasattr(jax.interpreters.xla, "pytype_aval_mappings"):
        import jax._src.core

        jax.interpreters.xla.pytype_aval_mappings = jax._src.core.pytype_aval_mappings
    from tensorflow_probability.substrates import jax as tfp

    tf = tfp.tf2jax
else:
    raise ImportError(
        "vlae_tf runs on Keras' TensorFlow and JAX backends: set KERAS_BACKEND to 'tensorflow' or "
        f"'jax' before Keras is imported. Received: KERAS_BACKEND={BACKEND!r}"
    )

tfd = tfp.distributions
tfb = tfp.bijectors
TensorShape = tf.TensorShape
float32 = tf.float32


def step_seed(generator):
    """The next seed of a `keras.random.SeedGenerator`, as TFP's stateless samplers take it."""
    seed = generator.next()
    return tf.cast(seed, tf.int32) if BACKEND == "tensorflow" else seed


def row_seeds(seed, count):
    """One seed per row, int32 `(count,)`, from one integer (or the seeds themselves).

    Row i has the same seed whatever `count` is, so a longer batch starts with the shorter one. No
    two rows of one integer have the same seed.

    Raises:
        ValueError: if `seed` is neither a non-negative integer nor one int32 per row.

    Example:
        >>> from vlae_tf.backend import row_seeds
        >>> bool((row_seeds(7, 5)[:3] == row_seeds(7, 3)).all())
        True
    """
    seeds = np.asarray(seed)
    if seeds.dtype.kind in "iu":
        if seeds.ndim == 0 and seeds >= 0:
            # Hashed, so that the rows of seed 1 are not those of seed 0 moved by one.
            words = np.random.SeedSequence(int(seeds)).generate_state(count)
            return _without_repeats((words >> 1).astype("int32"))
        if seeds.shape == (count,) and (seeds == seeds.astype("int32")).all():
            return seeds.astype("int32")
    raise ValueError(
        "`seed` must be a non-negative integer, or integers of 32 bits, one for each of the "
        f"{count} rows. Received: seed={seed!r}"
    )


def _without_repeats(seeds):
    """The hash repeats itself, in most batches of 50,000: then the later row takes the next seed
    that none before it has, which does not depend on the rows behind it."""
    if len(np.unique(seeds)) < len(seeds):
        taken = set()
        for row, seed in enumerate(seeds.tolist()):
            while seed in taken:
                seed = (seed + 1) % 2**31
            taken.add(seed)
            seeds[row] = seed
    return seeds


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


def add_bias(outputs, bias):
    """`outputs + bias`, one number for each entry of the last axis.

    As TensorFlow's own operation, which its graph optimiser joins with the convolution before and
    the sum and activation after it: on a CPU that saves a quarter of a stack of convolutions.
    """
    if BACKEND == "tensorflow" and len(outputs.shape) > 1:
        return tf.nn.bias_add(outputs, tf.convert_to_tensor(bias))
    return outputs + keras.ops.convert_to_tensor(bias)


def set_apart(tensor):
    """`tensor`, such that TensorFlow's graph optimiser joins nothing across it.

    It tries to join a convolution, a sum and an ELU where the sum is needed elsewhere too, as in a
    residual network, fails ("remapper failed"), and then joins nothing in the whole graph.
    """
    return tf.ensure_shape(tensor, tensor.shape) if BACKEND == "tensorflow" else tensor


def unshare(variables):
    """Gives each variable a buffer of its own, where the backend cannot train on a shared one.

    At the end of `fit` Keras puts averaged weights into a model without copying them.
    """
    if BACKEND == "jax":
        for variable in variables:
            variable.assign(jax.numpy.copy(variable.value))


def scan(step, carry, inputs):
    """`carry, output = step(carry, inputs[i])` for i = 0, 1, ...; the last carry, outputs stacked.

    `keras.ops.scan` wants outputs of the carry's shape on TensorFlow.

    Args:
        step: `(carry, list of tensors) -> (carry, tensor)`.
        carry: a nest of tensors.
        inputs: tensors with equal static first dimension.
    """
    if BACKEND == "jax":
        return jax.lax.scan(step, carry, inputs)
    inputs = [tf.convert_to_tensor(tensor) for tensor in inputs]
    count = inputs[0].shape[0]

    def body(i, carry, outputs):
        carry, output = step(carry, [tensor[i] for tensor in inputs])
        return i + 1, carry, outputs.write(i, output)

    _, carry, outputs = tf.while_loop(
        lambda i, *_: i < count,
        body,
        (0, carry, tf.TensorArray(tf.float32, count)),
        maximum_iterations=count,
    )
    return carry, outputs.stack()


def compiled(model, function):
    """`function(*tensors)`, which may use `model`'s variables, compiled for the backend in use.

    The variables are read at each call, so that weights loaded or trained later are the ones used.
    """
    if BACKEND == "tensorflow":
        return tf.function(function, reduce_retracing=True, autograph=False)

    @jax.jit
    def stateless(values, *tensors):
        with keras.StatelessScope(state_mapping=zip(model.variables, values, strict=True)):
            return function(*tensors)

    return lambda *tensors: stateless([variable.value for variable in model.variables], *tensors)

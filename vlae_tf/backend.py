"""The TFP substrate that fits Keras' backend: the one file that knows there are two.

`tfd`, `tfb` and `tfp` are TensorFlow Probability on the TensorFlow backend and its JAX substrate
on the JAX backend, where TensorFlow need not be installed.
"""

import contextlib
import threading

import keras
import numpy as np

BACKEND = keras.backend.backend()

if BACKEND == "tensorflow":
    import tensorflow as tf
    import tensorflow_probability as tfp
elif BACKEND == "jax":
    import jax
    import jax.experimental
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


def full_precision(tensor):
    """`tensor` in float32 or, if it is in float64, as it is.

    That is the precision of log-probabilities and of all that they are made of, whatever the policy
    of the networks.
    """
    tensor = keras.ops.convert_to_tensor(tensor)
    double = keras.backend.standardize_dtype(tensor.dtype) == "float64"
    return tensor if double else keras.ops.cast(tensor, "float32")


def tanh(tensor):
    """`keras.ops.tanh`, in the dtype of `tensor`: Keras' on JAX makes float32 of float64 (3.15)."""
    return tf.math.tanh(tensor)


def double_precision():
    """A context in which float64 is what it says: JAX makes float32 of it elsewhere."""
    return jax.enable_x64(True) if BACKEND == "jax" else contextlib.nullcontext()


def check_double_precision():
    """Raises a `ValueError` where float64 is not what it says."""
    if BACKEND == "jax" and jax.numpy.result_type(float) != "float64":
        raise ValueError(
            "`dtype` may be float64 on JAX only with JAX_ENABLE_X64=1, or within "
            "vlae_tf.backend.double_precision(). Received: dtype='float64'"
        )


def check_tensorflow(name):
    """Raises a `ValueError` that names a function, unless Keras runs on TensorFlow."""
    if BACKEND != "tensorflow":
        raise ValueError(
            f"`{name}` converts a TensorFlow graph, which needs Keras' TensorFlow backend: save "
            "the weights here, and load and export them there. Received: "
            f"KERAS_BACKEND={BACKEND!r}"
        )


def add_bias(outputs, bias):
    """`outputs + bias`, one number for each entry of the last axis.

    On TensorFlow it is TensorFlow's own operation: its graph optimiser joins that with the
    convolution before and the sum and activation after it, which saves a quarter of the time of a
    stack of convolutions on a CPU.
    """
    if BACKEND == "tensorflow" and len(outputs.shape) > 1:
        return tf.nn.bias_add(outputs, tf.convert_to_tensor(bias))
    return outputs + keras.ops.convert_to_tensor(bias)


def split_sizes(tensor, sizes):
    """The parts of a tensor's last axis, one of each size: the inverse of a concatenation."""
    tensor = keras.ops.convert_to_tensor(tensor)
    ends = [sum(sizes[:count]) for count in range(1, len(sizes))]
    # Keras takes no empty list of places to split at.
    return keras.ops.split(tensor, ends, axis=-1) if ends else [tensor]


def cholesky(matrices):
    """The lower triangular L of positive definite matrices L L^T `(..., d, d)`; NaN of others.

    `keras.ops.cholesky` raises on TensorFlow, where one matrix would spoil the whole batch.
    """
    return tf.linalg.cholesky(matrices)


def set_apart(tensor):
    """`tensor`, such that TensorFlow's graph optimiser joins nothing across it.

    The optimiser tries to join a convolution, a sum and an ELU also where the sum is needed
    elsewhere (in a residual network), fails ("remapper failed"), and then joins nothing at all.
    """
    return tf.ensure_shape(tensor, tensor.shape) if BACKEND == "tensorflow" else tensor


def after(upstream, tensor):
    """`tensor`, for the gradient: what is computed of it waits for `upstream`.

    TensorFlow's executor runs whatever it can. It would make the gradient's numbers right after the
    forward pass, and keep them in the place of the smaller ones that they are made of.
    """
    if BACKEND == "jax":
        return tensor
    with tf.control_dependencies([upstream]):
        return tf.identity(tensor)


def kept_at_random(tensor, rate, seed):
    """Which numbers of a tensor dropout keeps, booleans, and what by: the mean stays as it is.

    They are dropped with probability `rate`, rounded to a multiple of 2^-16.

    Args:
        tensor: what the booleans are for, whose shape they have.
        rate: probability, below 1.
        seed: two integers, a state of a `keras.random.SeedGenerator`.
    """
    threshold = min(round(rate * 2**16), 2**16 - 1)
    if BACKEND == "jax":
        bits = jax.random.bits(jax.random.wrap_key_data(seed), tensor.shape, "uint16")
    else:
        size, seed = tf.size(tensor), own_seed(tf.cast(seed, tf.int32))
        # Two numbers of 16 bits in each word, of a generator that is the same on all devices.
        words = tf.random.stateless_uniform(
            [(size + 1) // 2], seed, None, None, tf.uint32, alg="philox"
        )
        bits = tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:size]
        bits = tf.reshape(bits, tf.shape(tensor))
    return keras.ops.cast(bits, "int32") >= threshold, 1.0 / (1.0 - threshold / 2**16)


def unshare(variables):
    """Gives each variable a buffer of its own, where the backend cannot train on a shared one.

    At the end of `fit` Keras puts averaged weights into a model without copying them.
    """
    if BACKEND == "jax":
        for variable in variables:
            variable.assign(jax.numpy.copy(variable.value))


def scan(step, carry, inputs, dtype="float32"):
    """`carry, output = step(carry, inputs[i])` for i = 0, 1, ...; the last carry, outputs stacked.

    `keras.ops.scan` wants outputs of the carry's shape on TensorFlow.

    Args:
        step: `(carry, list of tensors) -> (carry, tensor)`.
        carry: a nest of tensors.
        inputs: tensors with equal static first dimension.
        dtype: dtype of the outputs.
    """
    if BACKEND == "jax":
        return jax.lax.scan(step, carry, inputs)
    inputs = [tf.convert_to_tensor(tensor) for tensor in inputs]
    count = inputs[0].shape[0]

    def body(i, carry, outputs):
        carry, output = step(carry, [tf.gather(tensor, i) for tensor in inputs])
        return i + 1, carry, outputs.write(i, output)

    _, carry, outputs = tf.while_loop(
        lambda i, *_: i < count,
        body,
        (0, carry, tf.TensorArray(dtype, count)),
        maximum_iterations=count,
    )
    return carry, outputs.stack()


def map_recomputed(function, parts):
    """`function(parts[i])` for i = 0, 1, ..., stacked; nothing in it is kept for the gradient.

    The parts are computed one after the other, and each again in the backward pass, so that memory
    holds what one of them needs. On TensorFlow `keras.remat` does not work within `keras.ops.map`.

    Args:
        function: function of a tensor to a tensor, which draws no noise of its own: it would be
            other noise in the backward pass.
        parts: tensor with one more axis than `function` takes.
    """
    if BACKEND == "jax":
        return keras.ops.map(keras.remat(function), parts)
    return _map_recomputed(function, tf.convert_to_tensor(parts))


def _map_recomputed(function, parts):
    @tf.custom_gradient
    def run(parts):
        values = tf.map_fn(function, parts, parallel_iterations=1)

        def gradient(upstream, variables=()):
            def add(i, sums, slopes):
                part = parts[i]
                with tf.GradientTape() as tape:
                    tape.watch(part)
                    value = function(part)
                sources = [part, *variables]
                slope, *more = tape.gradient(value, sources, upstream[i], "zero")
                sums = [total + one for total, one in zip(sums, more, strict=True)]
                return i + 1, sums, slopes.write(i, slope)

            count = tf.shape(parts)[0]
            nothing = [tf.zeros_like(variable) for variable in variables]
            start = 0, nothing, tf.TensorArray(parts.dtype, count)
            _, sums, slopes = tf.while_loop(
                lambda i, *_: i < count, add, start, parallel_iterations=1
            )
            return slopes.stack(), sums

        return values, gradient

    return run(parts)


def on_host(function, tensors, like):
    """`function` of the tensors as NumPy arrays, run by Python at each step of a compiled loop.

    Args:
        function: function of arrays to one array, of the shape and dtype of `like`.
        tensors: list of tensors.
        like: a tensor.
    """
    if BACKEND == "jax":
        tensors = [jax.numpy.asarray(tensor) for tensor in tensors]
        kinds = [(tensor.shape, tensor.dtype) for tensor in tensors]

        def run(*words):
            arrays = (
                np.ascontiguousarray(array).view(dtype).reshape(shape)
                for array, (shape, dtype) in zip(words, kinds, strict=True)
            )
            return np.ascontiguousarray(function(*arrays), like.dtype).view("uint32")

        # As words of 32 bits: the thread that runs a callback makes float32 of float64. The words
        # of a number follow one another.
        words = [jax.lax.bitcast_convert_type(tensor, "uint32") for tensor in tensors]
        double = like.dtype.itemsize == 8
        shape = (*like.shape[:-1], like.shape[-1] * (2 if double else 1))
        outputs = jax.experimental.io_callback(
            run, jax.ShapeDtypeStruct(shape, "uint32"), *words, ordered=True
        )
        if double:
            outputs = outputs.reshape(*like.shape, 2)
        return jax.lax.bitcast_convert_type(outputs, like.dtype)
    outputs = tf.numpy_function(function, tensors, like.dtype)
    return tf.ensure_shape(outputs, like.shape)


def _graph(function, **options):
    return tf.function(function, reduce_retracing=True, autograph=False, **options)


class _AnyRows:
    """A function of arrays, traced at its first call, of whatever number of rows."""

    def __init__(self, function):
        self._function, self._traced, self._tracing = function, None, threading.Lock()

    def __call__(self, *rows):
        with self._tracing:
            if self._traced is None:
                specs = [tf.TensorSpec((None, *row.shape[1:]), row.dtype) for row in rows]
                self._traced = _graph(self._function, input_signature=specs)
        return self._traced(*rows)


def compiled(model, function, any_rows=False):
    """`function(*tensors)`, which may use `model`'s variables, compiled for the backend in use.

    The variables are read at each call, so that weights loaded or trained later are the ones used.

    Args:
        model: the model.
        function: function of tensors.
        any_rows: whether TensorFlow traces it for any number of rows at once, and not again for
            each new number of them. What has one size alone is faster without.
    """
    if BACKEND == "tensorflow":
        return _AnyRows(function) if any_rows else _graph(function)

    @jax.jit
    def stateless(values, *tensors):
        with keras.StatelessScope(state_mapping=zip(model.variables, values, strict=True)):
            return function(*tensors)

    return lambda *tensors: stateless([variable.value for variable in model.variables], *tensors)


def compiled_rows(model, function, any_rows=False):
    """`compiled` for a function of rows, which the devices of a model share.

    All of its tensors, and what it gives, have the same first dimension. Rows that the devices
    cannot divide are filled up on TensorFlow; on JAX each device then computes all of them.
    """
    if BACKEND == "jax":
        run = compiled(model, function)
        return lambda *rows: run(*map(_laid_out, rows))
    if replicas(model) == 1:
        return compiled(model, function, any_rows)
    strategy = model.distribute_strategy
    count = len(strategy.extended.worker_devices)  # those of this process
    run = _graph(lambda *rows: strategy.run(function, args=rows))

    def spread(*rows):
        total = len(rows[0])
        places = np.arange(-(-total // count) * count).clip(max=total - 1)
        parts = [iter(np.split(np.asarray(row)[places], count)) for row in rows]
        outputs = run(
            *(
                strategy.experimental_distribute_values_from_function(
                    lambda _, part=part: tf.convert_to_tensor(next(part))
                )
                for part in parts
            )
        )
        return tf.nest.map_structure(
            lambda rows: tf.concat(strategy.experimental_local_results(rows), 0)[:total], outputs
        )

    return spread


def _laid_out(rows):
    """An array divided between the devices of Keras' distribution, where that can be."""
    distribution = keras.distribution.distribution()
    if distribution is None or len(rows) % distribution.num_model_replicas:
        return rows
    layout = distribution.get_data_layout(rows.shape)
    return jax.device_put(rows, layout.backend_layout)


# === Replicas: devices that share a batch ===
#
# On JAX a program is that of the whole batch, whatever the devices: there is nothing to do. On
# TensorFlow it is that of a replica, which has some of the rows, at least one.


def replicas(model=None):
    """Number of devices, of all workers, that share the batches of a model, or of one made here."""
    if BACKEND == "jax":
        distribution = keras.distribution.distribution()
        return 1 if distribution is None else distribution.num_model_replicas
    strategy = model.distribute_strategy if model else tf.distribute.get_strategy()
    return strategy.num_replicas_in_sync


def _replica():
    """The context of a replica that has some of the rows; None with the whole batch."""
    context = tf.distribute.get_replica_context() if BACKEND == "tensorflow" else None
    return context if context and context.num_replicas_in_sync > 1 else None


def whole_batch(tensor, axis=0):
    """The rows of the whole batch, on each replica: for what is no mean over rows.

    Args:
        tensor: the rows of this replica.
        axis: axis of the rows.
    """
    if (replica := _replica()) is None:
        return tensor
    shape = [None if at == axis else size for at, size in enumerate(tensor.shape)]
    return tf.ensure_shape(replica.all_gather(tensor, axis=axis), shape)


def own_rows(rows):
    """Number of rows of the whole batch, and of those before the `rows` of this replica."""
    if (replica := _replica()) is None:
        return rows, 0
    counts = replica.all_gather(tf.reshape(rows, (1,)), axis=0)
    return tf.reduce_sum(counts), tf.reduce_sum(counts[: replica.replica_id_in_sync_group])


def own_seed(seed):
    """A seed of two integers, for noise that each replica draws for itself."""
    replica = _replica()
    # Each has a copy of the same seed.
    return seed + [0, replica.replica_id_in_sync_group * 2**24] if replica else seed


def own_share(loss, rows):
    """A replica's part of a loss that is a mean over the rows of the batch.

    Its value is that of the whole batch, divided by the number of replicas, as Keras wants it. Its
    gradient is that of the replica's rows: Keras sums them.

    Args:
        loss: mean over the replica's rows, a scalar.
        rows: number of them.
    """
    if (replica := _replica()) is None:
        return loss
    rows = tf.cast(rows, loss.dtype)
    total = replica.all_reduce("sum", rows)
    own = loss * rows / total
    whole = replica.all_reduce("sum", tf.stop_gradient(own))
    return tf.stop_gradient(whole / replica.num_replicas_in_sync - own) + own


def summed(tensors):
    """Sums of a list of tensors over the replicas."""
    replica = _replica()
    return replica.all_reduce("sum", list(tensors)) if replica else tensors


def step_figures(figures):
    """The figures that a step of Keras gives, as it can average them over workers.

    On TensorFlow it takes the mean over the first axis (3.15.1), which scalars do not have.
    """
    replica = _replica()
    multiworker = replica and isinstance(
        replica.strategy, tf.distribute.MultiWorkerMirroredStrategy
    )
    return tf.nest.map_structure(lambda x: x[None], figures) if multiworker else figures


def over_workers(model, value):
    """The values of an integer in all processes that train a model together on TensorFlow."""
    strategy = model.distribute_strategy
    gather = _graph(lambda: strategy.run(lambda: whole_batch(tf.constant([value]))))
    return strategy.experimental_local_results(gather())[0].numpy().tolist()

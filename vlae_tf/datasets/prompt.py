"""Pipelines whose iterations end with their last batch, and whose batches devices share."""

from vlae_tf.backend import BACKEND


def untuned(dataset):
    """A `tf.data.Dataset` without TensorFlow's autotuner, so that its iterations end at once.

    The end of an iteration waits until the autotuner's thread wakes. In TensorFlow 2.21 it wakes
    10 * (2**n - 1) ms after the beginning: an epoch of 6 s ends after 6 s or after 10. What a
    pipeline leaves to `tf.data.AUTOTUNE` then has the size that TensorFlow begins with: as many
    parallel calls as threads, at most 16, and a buffer that grows as it is found empty.

    Args:
        dataset: `tf.data.Dataset`, whose other options stay as they are.

    Example:
        >>> import tensorflow as tf
        >>> from vlae_tf.datasets import untuned
        >>> untuned(tf.data.Dataset.range(3)).options().autotune.enabled
        False

    Reference:
        Abadi et al., TensorFlow 2.21, tensorflow/core/framework/model.cc, `Model::OptimizeLoop`.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def array_batches(array, batch_size, shuffle=False):
    """Batches of an array, each iteration over them in a new order if `shuffle`, as a
    `tf.data.Dataset`.

    What Keras makes of an array does the same, but tells no size of a batch, and takes a tenth of a
    second to make at every call of `fit`.

    Args:
        array: array or tensor, `(n, ...)`.
        batch_size: rows of a batch; the last one may be smaller.
        shuffle: whether the rows are shuffled, by TensorFlow's global seed.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.datasets import array_batches
        >>> [len(batch) for batch in array_batches(np.zeros((10, 4)), 4)]
        [4, 4, 2]
    """
    import tensorflow as tf

    with tf.device("CPU:0"):
        array = tf.convert_to_tensor(array)
    count = len(array)
    rows = tf.data.Dataset.range(count)
    rows = rows.shuffle(count) if shuffle else rows
    # Of one size where that is so: with it TensorFlow's graph is faster.
    rows = rows.batch(batch_size, drop_remainder=count % batch_size == 0)
    batches = rows.map(lambda row: tf.gather(array, row), num_parallel_calls=2)
    return untuned(batches.prefetch(2))


def can_be_divided(count, batch_size, devices):
    """Whether devices can share the batches of an array: on TensorFlow each must have a row; Keras
    on JAX divides all batches, in equal parts, or none if it cannot the first.

    Args:
        count: rows of the array.
        batch_size: rows of a batch; the last one may be smaller.
        devices: number of devices.

    Example:
        >>> from vlae_tf.datasets.prompt import can_be_divided
        >>> can_be_divided(9, 4, 2), can_be_divided(8, 4, 2)
        (False, True)
    """
    first, last = min(count, batch_size), count % batch_size
    if BACKEND == "jax":
        return first % devices > 0 or last % devices == 0
    return first >= devices and (last == 0 or last >= devices)


def divided_batches(dataset, strategy):
    """The batches of a `tf.data.Dataset`, each divided between the replicas of a strategy, in order
    and as evenly as can be, as a `tf.distribute.DistributedDataset`.

    TensorFlow itself divides 5 rows between 4 replicas as 2, 2, 1 and 0, and some layers go wrong
    with no rows: oneDNN gives a convolution of an empty batch the shape of its input.

    Args:
        dataset: dataset of tensors or nests of them with the rows first; at least as many as there
            are replicas, or the iteration ends with an error.
        strategy: `tf.distribute.Strategy`. Each worker reads all of the dataset.

    Example:
        >>> import tensorflow as tf
        >>> from vlae_tf.datasets.prompt import divided_batches
        >>> batches = tf.data.Dataset.range(5).batch(5)
        >>> (batch,) = divided_batches(batches, tf.distribute.OneDeviceStrategy("CPU:0"))
        >>> batch.shape
        TensorShape([5])
    """
    import tensorflow as tf

    def own(context):
        replicas = context.num_replicas_in_sync
        count = replicas // context.num_input_pipelines
        first = count * context.input_pipeline_id

        def parts(*batch):
            batch = batch if len(batch) > 1 else batch[0]
            rows = tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]
            what = f"A batch must have at least {replicas} rows, one for each device. Received:"
            enough = tf.debugging.Assert(rows >= replicas, [what, rows])
            with tf.control_dependencies([enough]):
                ends = rows * tf.range(replicas + 1, dtype=tf.int64) // replicas

            def part(replica):
                place = slice(ends[replica], ends[replica + 1])
                return tf.nest.map_structure(lambda tensor: tensor[place], batch)

            return tf.data.Dataset.range(first, first + count).map(part)

        return untuned(dataset.flat_map(parts).prefetch(2 * count))

    return strategy.distribute_datasets_from_function(own)

"""Pipelines whose iterations end with their last batch."""


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

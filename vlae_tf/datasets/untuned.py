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

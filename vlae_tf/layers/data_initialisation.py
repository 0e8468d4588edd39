from vlae_tf.layers.kernel_layer import KernelLayer


def initialize_from_data(model, *inputs, run=None):
    """Data-dependent initialisation of every weight-normalised layer of `model`, on one batch.

    Runs `run(*inputs)`, which is the model itself unless given, once and eagerly; each layer
    normalises its outputs before it hands them on. A layer without a bias gets the standard
    deviation only.

    Example:
        >>> import keras
        >>> from vlae_tf.layers import Dense, initialize_from_data
        >>> layer = Dense(2, weight_norm=True)
        >>> layer.build((None, 3))
        >>> batch = keras.random.normal((8, 3), seed=0)
        >>> initialize_from_data(layer, batch)
        >>> bool(keras.ops.all(keras.ops.abs(keras.ops.std(layer(batch), axis=0) - 1) < 1e-3))
        True

    Reference:
        Salimans & Kingma, "Weight Normalization", 2016, section 3.
    """
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, KernelLayer) and layer.weight_norm
    ]
    if not layers:
        return
    try:
        for layer in layers:
            layer.initializing_from_data = True
        (run or model)(*inputs)
    finally:
        for layer in layers:
            layer.initializing_from_data = False

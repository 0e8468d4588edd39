import inspect

import keras


class ConfiguredLayer(keras.layers.Layer):
    """A layer that keeps its constructor's arguments as attributes, and so knows its config.

    The arguments are those of `__init__` in its class and in its base classes up to this one.
    Initialisers, activations and layers are written in Keras' form. A layer with other arguments
    that are not plain data adds them to `get_config` in the form of data.

    Raises:
        ValueError: by `get_config`, for an argument that the layer does not keep as an attribute.

    Example:
        >>> from vlae_tf.layers import Conv2D
        >>> config = Conv2D(8, 3, weight_norm=True).get_config()
        >>> config["filters"], config["kernel_size"], config["weight_norm"]
        (8, (3, 3), True)
    """

    def get_config(self):
        order = type(self).__mro__
        classes = [cls for cls in order[: order.index(ConfiguredLayer)] if "__init__" in vars(cls)]
        arguments = [_arguments(cls) for cls in classes]
        missing = [name for name in sum(arguments[:1], []) if not hasattr(self, name)]
        if missing:
            raise ValueError(
                f"`{missing[0]}` must be kept as an attribute of that name: it is an argument of "
                f"{classes[0].__name__}, whose config would lack it. Received: a "
                f"{classes[0].__name__} without `{missing[0]}`"
            )
        names = [name for listed in arguments for name in listed]
        config = {name: _data(getattr(self, name)) for name in names if hasattr(self, name)}
        return {**super().get_config(), **config}


def _arguments(cls):
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _data(value):
    if isinstance(value, keras.initializers.Initializer):
        return keras.initializers.serialize(value)
    if isinstance(value, keras.layers.Layer):
        return keras.saving.serialize_keras_object(value)
    return keras.activations.serialize(value) if inspect.isfunction(value) else value

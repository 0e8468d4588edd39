import inspect

import keras


class ConfiguredLayer(keras.layers.Layer):
    """A layer that keeps its constructor's arguments as attributes, and so knows its config.

    The arguments are those of `__init__` in its class and in its base classes up to this one.
    Initialisers, activations and layers are written in Keras' form. A layer with other arguments
    that are not plain data adds them to `get_config` in the form of data.

    Example:
        >>> from vlae_tf.layers import Conv2D
        >>> config = Conv2D(8, 3, weight_norm=True).get_config()
        >>> config["filters"], config["kernel_size"], config["weight_norm"]
        (8, (3, 3), True)
    """

    def get_config(self):
        order = type(self).__mro__
        constructors = [
            vars(cls)["__init__"]
            for cls in order[: order.index(ConfiguredLayer)]
            if "__init__" in vars(cls)
        ]
        names = [name for init in constructors for name in inspect.signature(init).parameters]
        config = {name: _data(getattr(self, name)) for name in names if hasattr(self, name)}
        return {**super().get_config(), **config}


def _data(value):
    if isinstance(value, keras.initializers.Initializer):
        return keras.initializers.serialize(value)
    if isinstance(value, keras.layers.Layer):
        return keras.saving.serialize_keras_object(value)
    return keras.activations.serialize(value) if inspect.isfunction(value) else value

"""Which classes the config of a model may name."""

import keras

from vlae_tf.checks import refuse

# Keras' own, by the module that a config names: what makes tensors of tensors, and nothing that
# runs code, reads files or loads other models.
_LAYERS = """
Activation Add Average AveragePooling2D BatchNormalization CenterCrop Concatenate Conv2D
Conv2DTranspose Cropping2D Dense DepthwiseConv2D Dot Dropout ELU Flatten GaussianDropout
GaussianNoise GlobalAveragePooling2D GlobalMaxPooling2D GroupNormalization Identity InputLayer
LayerNormalization LeakyReLU Maximum MaxPooling2D Minimum Multiply Normalization PReLU Permute
RMSNormalization ReLU RepeatVector Rescaling Reshape SeparableConv2D Softmax SpatialDropout2D
SpectralNormalization Subtract UnitNormalization UpSampling2D ZeroPadding2D
""".split()
_KERAS = {
    "keras": ["DTypePolicy", "Functional", "Model", "Sequential"],
    "keras.dtype_policies": ["DTypePolicy"],
    "keras.layers": _LAYERS,
    "keras.models": ["Functional", "Model", "Sequential"],
    "keras.src.models.functional": ["Functional"],
}
# These rooms hold plain numbers and functions of tensors.
_WHOLE = ("keras.constraints", "keras.initializers", "keras.regularizers")
# Values that Keras writes in the form of an object.
_VALUES = ("__tuple__", "__numpy__", "__tensor__", "__keras_tensor__")


def check_classes(config, custom_objects=None):
    """Raises a `ValueError` if a config names a class other than these: those of vlae_tf, those
    registered with Keras (as your own are, once their module is imported), and a list of Keras'
    own layers, initialisers, regularisers, constraints and policies.

    Nothing has been built by then: a file from elsewhere makes no object of another class.
    """
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
            if "class_name" in value and not _is_allowed(value, custom_objects):
                name = f"{value.get('module')}.{value['class_name']}"
                registered = value.get("registered_name")
                refuse(
                    "config",
                    "made of classes of vlae_tf, of Keras' plain layers, or of your own that are "
                    "registered with `keras.saving.register_keras_serializable` and imported",
                    config,
                    f"the class {registered if '>' in str(registered) else name!r}",
                )
        elif isinstance(value, (list, tuple)):
            waiting += value


def _is_allowed(part, custom_objects):
    name, module = part["class_name"], part.get("module")
    registered = part.get("registered_name")
    if not isinstance(name, str) or not isinstance(module, (str, type(None))):
        return False
    if name in _VALUES:
        return True
    if isinstance(registered, str):
        if keras.saving.get_registered_object(registered, custom_objects) is not None:
            return True
    if registered not in (None, name):
        return False
    return name in _KERAS.get(module, ()) or (
        module in _WHOLE and isinstance(getattr(_room(module), name, None), type)
    )


def _room(module):
    return getattr(keras, module.removeprefix("keras."))

"""Parts as data, in Keras' own form: the name of a class and its arguments."""

import difflib
import inspect

import keras

from vlae_tf import models

# Keras' own rooms, in which a name is looked up that is not registered.
_KERAS = (
    keras.layers,
    keras.optimizers,
    keras.optimizers.schedules,
    keras.initializers,
    keras.regularizers,
    keras.dtype_policies,
)
# What Keras writes beside the name and the arguments; a part is made without it.
_WRITTEN_BY_KERAS = ("module", "registered_name", "build_config", "shared_object_id")

# Kinds of parts: the class that a part must be of.
KINDS = {
    **models.parts.PARTS,
    "optimizer": keras.optimizers.Optimizer,
    "schedule": keras.optimizers.schedules.LearningRateSchedule,
}
# These compute in the recipe's dtype; the others keep float32, whatever the policy.
_OF_ANY_DTYPE = ("encoder", "decoder", "likelihood_family")


def normal(value):
    """`value` with every part in it written in one way, `{"class_name": ..., "config": {...}}`.

    The name is "Name" for a class of vlae_tf or of Keras, and "package>Name" for others. Tuples
    become lists, as in JSON.
    """
    if isinstance(value, (list, tuple)):
        return [normal(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: normal(item) for key, item in value.items()}
    if "class_name" not in value:
        return value
    registered = value.get("registered_name") or ""
    name = registered if ">" in registered else value["class_name"]
    others = {key: item for key, item in value.items() if key not in _WRITTEN_BY_KERAS}
    return others | {
        "class_name": name.removeprefix("vlae_tf>") if isinstance(name, str) else name,
        "config": {} if value.get("config") is None else value["config"],
    }


def is_part(value):
    return isinstance(value, dict) and "class_name" in value


def find_class(name):
    """The class of a name: "vlae_tf>Name", then as registered with Keras, then Keras' own."""
    for known in (f"vlae_tf>{name}", name):
        found = keras.saving.get_registered_object(known)
        if found is not None:
            return found
    classes = (getattr(room, str(name), None) for room in _KERAS)
    return next((cls for cls in classes if isinstance(cls, type)), None)


def check_part(name, part, kind=object):
    """Raises a `ValueError` for an unknown class, one of another kind, or unknown arguments.

    Args:
        name: name of the part, such as "encoder".
        part: dict of class_name and config, as `normal` gives it.
        kind: class that it must be of.
    """
    cls = find_class(part["class_name"])
    if not (isinstance(cls, type) and issubclass(cls, kind)):
        known = _names(kind)
        if ">" in str(part["class_name"]):
            raise ValueError(
                f"`{name}` names a class of one's own, and no module that was imported registers "
                "it. Import its module and train in Python, with `vlae_tf.training.train`; the "
                f"command line imports vlae_tf alone. Received: {part['class_name']!r}"
            )
        shown = f", such as {', '.join(known)}" if len(known) < 20 else ""
        wanted = "" if kind is object else f" that is a `{kind.__name__}`"
        raise ValueError(
            f"`{name}` must name a class{wanted}, of vlae_tf or of Keras, or one registered with "
            f"`keras.saving.register_keras_serializable`{shown}. "
            f"Received: {part['class_name']!r}{_suggestion(part['class_name'], known)}"
        )
    defaults = arguments(cls)
    if unknown := [key for key in part["config"] if key not in defaults]:
        raise ValueError(unknown_keys(f"{name} of class {cls.__name__}", unknown, defaults))
    for key, value in part["config"].items():
        if not _alike(value, defaults[key]):
            raise ValueError(
                f"`{key}` of {cls.__name__} must be like its default, {defaults[key]!r}. "
                f"Received: {key}={value!r}"
            )
        for item in value if isinstance(value, list) else [value]:
            if is_part(item):
                check_part(f"{name}.{key}", item)


def build_part(name, part, **known):
    """The object; what it does not say of `known`, such as `latent_dim`, it is given where its
    class has an argument of that name."""
    if name not in _OF_ANY_DTYPE and name in KINDS:
        known.pop("dtype", None)
    return _build(name, part, known)


def _build(name, part, known):
    cls = find_class(part["class_name"])
    # What goes on to a base by ** a class may give it itself. Every layer takes a dtype.
    taken = [*inspect.signature(cls.__init__).parameters, *["dtype"][: "dtype" in arguments(cls)]]
    config = {key: value for key, value in known.items() if key in taken} | part["config"]
    if is_part(config.get("network")) and hasattr(cls, "parameters_a_pixel"):
        groups = config["network"]["config"].get("groups", 1)
        known = known | {"output_channels": cls.parameters_a_pixel(groups=groups, **config)}

    def built(key, value):
        if isinstance(value, list):
            return [built(key, item) for item in value]
        return _build(f"{name}.{key}", value, known) if is_part(value) else value

    config = {key: built(key, value) for key, value in config.items()}
    try:
        return cls(**config)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"`{name}` cannot be built. {error}") from error


def arguments(cls):
    """The arguments of a class and their defaults, with those that it hands on to its bases."""
    found = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        found |= {p.name: p.default for p in named if p.name not in found}
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return found


def unknown_keys(what, unknown, known):
    """The sentence that says which keys of something are unknown."""
    return (
        f"The keys of {what} are {', '.join(known)}. "
        f"Received: {', '.join(map(str, unknown))}{_suggestion(unknown[0], known)}"
    )


def _names(kind):
    """Names of the registered classes of vlae_tf, and those of Keras, of a kind."""
    registered = keras.saving.get_custom_objects().values()
    classes = [cls for cls in registered if getattr(cls, "__module__", "").startswith("vlae_tf.")]
    classes += [cls for room in _KERAS for cls in vars(room).values() if isinstance(cls, type)]
    kinds = {c for c in classes if isinstance(c, type) and issubclass(c, kind) and c is not kind}
    return sorted(cls.__name__ for cls in kinds)


def _suggestion(name, known):
    close = difflib.get_close_matches(str(name), known, n=1)
    return f". Did you mean {close[0]}?" if close else ""


def _alike(value, default):
    """Whether the type of `value` fits that of the default; a list may stand for a number each.

    None, parts, and arguments without a default are left to the class, which may know them."""
    if value is None or is_part(value):
        return True
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, (int, float, list, tuple)):
        return isinstance(value, (int, float, list)) and not isinstance(value, bool)
    return True

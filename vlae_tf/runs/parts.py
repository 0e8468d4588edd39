"""Parts of a model as data: a dict of the name of a class and its arguments."""

import inspect

from vlae_tf import layers, likelihoods, networks, objectives, posteriors, priors

# Of each part: the room its classes are in, how their names end, and whether they compute in the
# recipe's dtype; the others keep float32, whatever the policy.
_KINDS = {
    "encoder": (networks, "Encoder", True),
    "decoder": (networks, "Decoder", True),
    "posterior_family": (posteriors, "Posterior", False),
    "prior_family": (priors, "Prior", False),
    "likelihood_family": (likelihoods, "Likelihood", True),
    "network": (layers, "PixelCNN", True),
    "objective": (objectives, "", False),
}
PARTS = tuple(name for name in _KINDS if name not in ("network", "objective"))


def check_part(name, settings):
    """The class that a part names.

    Raises:
        ValueError: for an unknown class or arguments that it does not take, with the known ones.
    """
    room, ending, _ = _KINDS[name]
    known = [kind for kind in room.__all__ if kind.endswith(ending)]
    kind = settings.get("class") if isinstance(settings, dict) else settings
    if not isinstance(settings, dict) or kind not in known:
        raise ValueError(
            f'`{name}` must be an object with a "class", one of {", ".join(known)}. '
            f"Received: {name}={settings!r}"
        )
    cls = getattr(room, kind)
    defaults = arguments(cls)
    check_keys(f"{name} of class {kind}", settings, ["class", *defaults])
    for key, value in settings.items():
        if not _alike(value, defaults.get(key)):
            raise ValueError(
                f"`{key}` of {kind} must be like its default, {defaults[key]!r}. "
                f"Received: {key}={value!r}"
            )
    if settings.get("network") is not None:
        check_part("network", settings["network"])
    return cls


def build_part(name, settings, **context):
    """The part; of `context` (such as `latent_dim`) it gets what it takes and does not have."""
    cls = check_part(name, settings)
    known = {key: value for key, value in context.items() if key in arguments(cls)}
    settings = known | {key: value for key, value in settings.items() if key != "class"}
    if settings.get("network") is not None:
        groups = settings["network"].get("groups", 1)
        context["output_channels"] = cls.parameters_a_pixel(groups=groups, **settings)
        settings["network"] = build_part("network", settings["network"], **context)
    if _KINDS[name][2]:
        settings["dtype"] = context["dtype"]
    try:
        return cls(**settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` cannot be built. {error}") from error


def arguments(cls):
    """The arguments of a class, without those of Keras' own layers, and their defaults."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD}


def check_keys(what, values, known):
    """Raises unless all keys of `values` are among `known`."""
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ValueError(
            f"The keys of {what} are {', '.join(known)}. Received: {', '.join(unknown)}"
        )


def _alike(value, default):
    """Whether the type of `value` fits that of the default; a list may stand for a number each.

    None is left to the class, which may know it."""
    if value is None:
        return True
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, (int, float)):
        return isinstance(value, (int, float, list)) and not isinstance(value, bool)
    return isinstance(value, (list, tuple)) if isinstance(default, (list, tuple)) else True

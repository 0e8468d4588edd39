"""Types and ranges of a recipe's fields, for pydantic, and its errors in our own words."""

import functools
import typing
from typing import Annotated, Any

import pydantic
from pydantic import Field
from typing_extensions import TypedDict

from vlae_tf.runs.parts import unknown_keys

# === Types and ranges ===

STRICT = pydantic.ConfigDict(strict=True, extra="forbid")
# Other arguments of the class are left to the class.
_OPEN = pydantic.ConfigDict(strict=True, extra="allow")

Count = Annotated[int, Field(ge=1, lt=2**31)]
Index = Annotated[int, Field(ge=0, lt=2**31)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Part(TypedDict):
    __pydantic_config__ = STRICT
    class_name: str
    config: dict[str, Any]


class Model(TypedDict, total=False):
    __pydantic_config__ = STRICT
    latent_dim: typing.Required[Count]
    image_shape: Any
    encoder: Part | None
    decoder: Part | None
    posterior_family: Part | None
    prior_family: Part | None
    likelihood_family: Part | None
    levels: typing.Literal[2, 256] | None


class OptimizerConfig(TypedDict, total=False):
    __pydantic_config__ = _OPEN
    learning_rate: Positive
    clipnorm: Positive | None
    clipvalue: Positive | None
    global_clipnorm: Positive | None
    ema_momentum: Annotated[float, Field(ge=0, lt=1)]
    gradient_accumulation_steps: Annotated[int, Field(ge=2)] | None


class ScheduleConfig(TypedDict, total=False):
    __pydantic_config__ = _OPEN
    initial_learning_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    decay_steps: Count
    warmup_steps: Index


class OptimizerPart(TypedDict):
    __pydantic_config__ = STRICT
    class_name: str
    config: OptimizerConfig


class SchedulePart(TypedDict):
    __pydantic_config__ = STRICT
    class_name: str
    config: ScheduleConfig


# === Errors ===

_VERSION_0_1 = ("class", "learning_rate", "global_clipnorm", "ema_momentum", "warmup_steps")


def errors_in_one_sentence(cls):
    """Decorator of a pydantic dataclass: a `ValueError` of one sentence, of the first thing wrong,
    in place of pydantic's report."""
    checked = cls.__init__

    @functools.wraps(checked)
    def __init__(self, *args, **kwargs):
        try:
            checked(self, *args, **kwargs)
        except pydantic.ValidationError as error:
            fields = typing.get_type_hints(cls)
            raise ValueError(_sentence(fields, error.errors(include_url=False))) from None

    cls.__init__ = __init__
    return cls


def _sentence(fields, errors):
    places = [_place(fields, error["loc"]) for error in errors]
    kinds = [error["type"] for error in errors]
    unknown = [p for p, kind in zip(places, kinds, strict=True) if kind in _UNKNOWN]
    missing = [p for p, kind in zip(places, kinds, strict=True) if kind.startswith("missing")]
    if old := [key for *_, key in unknown if key in _VERSION_0_1]:
        return (
            f"`{old[0]}` is of a recipe of version 0.1 of vlae_tf. In this version a part is "
            '{"class_name": ..., "config": {...}}, with its arguments in the config; '
            "`learning_rate`, `global_clipnorm` and `ema_momentum` are in the config of "
            "`optimizer`, and `warmup_steps` is in that of `schedule`."
        )
    if unknown:
        *parents, key = unknown[0]
        known = {(): fields, ("model",): Model.__annotations__}
        known = known.get(tuple(parents), Part.__annotations__)
        return unknown_keys(".".join(parents) or "a recipe", [key], known)
    if missing:
        return f"The recipe must have {', '.join('.'.join(place) for place in missing)}."
    (error, *_), name = errors, ".".join(places[0])
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    expected = error["msg"].replace("greater than or equal to", "at least")
    if type(None) in typing.get_args(fields.get(name)):
        expected += ", or None"
    expected = expected.replace("Input should be", "must be")
    return f"`{name}` {expected}. Received: {name}={error['input']!r}"


_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def _place(fields, location):
    """Where an error is, as a list of keys; pydantic counts arguments given by position."""
    names = list(fields)
    return [
        names[key] if isinstance(key, int) and not depth and key < len(names) else str(key)
        for depth, key in enumerate(location)
    ]

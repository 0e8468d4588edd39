"""What a run leaves behind beside its weights, each file with its one reader.

A file may come from elsewhere or be damaged: its keys and types are checked here, and the error
names the file and the key. Keys that are not named here are left as they are.
"""

import csv
import functools
from typing import Annotated, NotRequired

import pydantic
from pydantic import Field
from typing_extensions import TypedDict

from vlae_tf.files import read_json, reading, sha256

_OPEN = pydantic.ConfigDict(strict=True, extra="allow")
_Number = pydantic.FiniteFloat
_Count = Annotated[int, Field(ge=0)]
_Some = Annotated[int, Field(ge=1)]


class _Block(TypedDict):
    __pydantic_config__ = _OPEN
    nll: _Number
    nll_standard_error: _Number | None
    bits_per_dim: _Number
    num_images: _Some
    importance_samples: _Some
    elbo: _Number
    kl: _Number
    code_bits: _Number
    effective_samples: NotRequired[_Number]
    active_units: NotRequired[_Count]
    command: NotRequired[str | None]


class _Control(TypedDict):
    __pydantic_config__ = _OPEN
    nll: _Number
    nll_standard_error: NotRequired[_Number | None]
    num_images: _Some
    gain: _Number
    gain_standard_error: _Number | None
    importance_samples: _Some
    epochs: NotRequired[_Count]
    trained: NotRequired[str]


class _Information(TypedDict):
    __pydantic_config__ = _OPEN
    nats: _Number
    most: _Number
    num_images: _Some


class _Stored(TypedDict):
    __pydantic_config__ = _OPEN
    dtype: str
    examples: _Count
    mean_change_nats: _Number
    largest_change_nats: _Number


class _Metrics(TypedDict):
    __pydantic_config__ = _OPEN
    weights_sha256: str
    dataset: str
    split: str
    binarisation: str
    seed: int
    images_sha256: NotRequired[str]
    likelihood: Annotated[list[_Block], Field(min_length=1)]
    control: NotRequired[_Control]
    mutual_information: NotRequired[_Information]
    stored: NotRequired[_Stored]


class _Hardware(TypedDict):
    __pydantic_config__ = _OPEN
    cpu: str
    cores: _Count | None


class _Part(TypedDict):
    __pydantic_config__ = _OPEN
    command: str
    first_epoch: _Count | None
    epochs: _Count
    wall_time_s: _Number
    epochs_s: NotRequired[list[_Number]]
    backend: str
    hardware: _Hardware


class _Earlier(TypedDict):
    epochs: _Count
    wall_time_s: _Number


class _Images(TypedDict):
    images: _Count
    sha256: str


class _Run(TypedDict):
    __pydantic_config__ = _OPEN
    parameters: _Count
    epochs: _Count
    wall_time_s: _Number
    parts: Annotated[list[_Part], Field(min_length=1)]
    images: NotRequired[_Count]
    data: NotRequired[dict[str, _Images]]
    earlier: NotRequired[_Earlier]


class _Accuracy(TypedDict):
    __pydantic_config__ = _OPEN
    accuracy: _Number
    standard_error: _Number


class _Probe(TypedDict):
    __pydantic_config__ = _OPEN
    dataset: str
    weights_sha256: NotRequired[str]
    train_images: _Count
    test_images: _Count
    classifier: str
    code: _Accuracy
    pixels: _Accuracy


def read_metrics(path):
    """What `vlae-tf evaluate` wrote, a dict.

    Raises:
        ValueError: names the file that is not there, or the key that is missing or of another type.
        OSError: the file cannot be opened.
    """
    if not path.exists():
        raise ValueError(
            f"The model must have been evaluated: vlae-tf evaluate {path.parent}. Received: no "
            f"file {str(path)!r}"
        )
    return _read(path, "the metrics of a model, which `vlae-tf evaluate` writes", _Metrics)


def check_weights(folder, metrics):
    """The sha256 of a folder's weights; a `ValueError` if its metrics were measured with others."""
    weights = sha256(folder / "model.weights.h5")
    if weights != metrics["weights_sha256"]:
        raise ValueError(
            f"metrics.json in {folder} belongs to other weights than model.weights.h5. Run "
            f"`vlae-tf evaluate` again. Received: {str(folder)!r} with weights of sha256 {weights}"
        )
    return weights


def read_run(path):
    """The run.json that training wrote, a dict; raises as `read_metrics`."""
    return _read(path, "the record of a run, which `vlae-tf train` writes", _Run)


def epochs_and_seconds(record):
    """Epochs and wall time of a run and of those that it went on from.

    Example:
        >>> epochs_and_seconds({"epochs": 3, "wall_time_s": 20.0})
        (3, 20.0)
    """
    runs = [record, record.get("earlier", {"epochs": 0, "wall_time_s": 0.0})]
    return sum(run["epochs"] for run in runs), round(sum(run["wall_time_s"] for run in runs), 1)


def read_probe(path):
    """What `vlae-tf probe` wrote, a dict; raises as `read_metrics`."""
    return _read(path, "a linear probe, which `vlae-tf probe` writes", _Probe)


def read_history(path):
    """The columns of a history.csv, a dict of lists: `epoch` of integers, all others of numbers,
    with None for what an epoch did not measure. Rows that are not whole are left out.

    Raises:
        ValueError: names the file that is something else.
        OSError: the file cannot be opened.

    Example:
        >>> import pathlib
        >>> _ = pathlib.Path("history.csv").write_text("epoch,elbo,val_elbo\\n0,-90.5,NA\\n1,-8")
        >>> read_history("history.csv")
        {'epoch': [0], 'elbo': [-90.5], 'val_elbo': [None]}
    """
    with reading(path, "the history of a run, with a row an epoch"), open(path, newline="") as file:
        names, *rows = list(csv.reader(file, strict=True)) or [[]]
        if names[:1] != ["epoch"] or len(set(names)) < len(names):
            raise ValueError(f"it must begin with a column epoch. Received: {names!r:.200}")
        rows = [row for row in rows if len(row) == len(names)]
        # Keras writes NA for what an epoch did not measure.
        columns = {
            name: [None if row[i] == "NA" else float(row[i]) for row in rows]
            for i, name in enumerate(names)
        }
        return columns | {"epoch": [int(row[0]) for row in rows]}


def _read(path, kind, schema):
    values = read_json(path, kind)
    with reading(path, kind):
        try:
            _adapter(schema).validate_python(values)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            message = f"its key {place}: {first['msg']}. Received: {first['input']!r:.200}"
            raise ValueError(message) from None
    return values


@functools.cache
def _adapter(schema):
    return pydantic.TypeAdapter(schema)

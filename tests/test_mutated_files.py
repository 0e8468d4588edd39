"""Files that were damaged or made by others: 2,000 of them, and none is more than a `ValueError` or
an `OSError` with the file's name."""

import json
import random
import re
import resource
import shutil
import tracemalloc

import numpy as np
import pytest

from tests.pictures.files import COLOUR, saved
from vlae_tf.datasets import load_arrays
from vlae_tf.evaluation import plot_history
from vlae_tf.files import load_weights, read_numpy
from vlae_tf.records import read_history, read_metrics, read_run
from vlae_tf.runs import Recipe, load_run

MUTANTS = 200
IMAGES = np.random.default_rng(0).integers(0, 256, (9, 5, 4, 1)).astype("uint8")
# What JSON and NumPy's headers may hold in the place of a value.
_STRANGE = ["[" * 5000, '{"a":' * 2000, "1" * 5000, "1e999", "NaN", "null", "true", '"', "\\ud800"]
_STRANGE += ["-1", "9" * 18, "[]", "{}", '""', "\0", "é", "(", "1.5", "99999999999999999999"]


def mutated(data, count, seed):
    """`count` damaged copies of bytes: cut, with other bytes, doubled, or of strange values."""
    draw = random.Random(seed)
    text = data[:1] in b"{e"
    for _ in range(count):
        new = bytearray(data)
        for _ in range(draw.choice((1, 1, 1, 3, 10))):
            at, kind = draw.randrange(len(new) + 1), draw.randrange(7)
            if kind == 0:
                del new[at:]
            elif kind == 1:
                del new[at : at + draw.randrange(1, 30)]
            elif kind == 2:
                new[at:at] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 9)))
            elif kind == 3:
                new[at : at + 8] = draw.choice((b"\xff", b"\0", b"\x7f")) * draw.choice((1, 4, 8))
            elif kind == 4 and text:
                new[at:at] = draw.choice(_STRANGE).encode("utf-8", "surrogatepass")
            elif kind == 5 and text:
                # A whole value is replaced.
                values = list(re.finditer(rb"(?<=[:,] )[^,\n\[\]{}]+", bytes(new)))
                if values:
                    one = draw.choice(values)
                    new[one.start() : one.end()] = draw.choice(_STRANGE).encode()
            else:
                for _ in range(draw.choice((1, 2, 8))):
                    if new:
                        new[draw.randrange(len(new))] = draw.randrange(256)
            if not new:
                break
        yield bytes(new)


def survives(path, data, read, most=2**26):
    """Reads mutants of a file: how many were refused. Anything but the two errors is a failure."""
    refused, before = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        for number, mutant in enumerate(mutated(data, MUTANTS, path.name)):
            path.write_bytes(mutant)
            tracemalloc.reset_peak()
            try:
                read(path)
            except (ValueError, OSError) as error:
                assert path.name in str(error), (number, error)
                refused += 1
            assert tracemalloc.get_traced_memory()[1] < most, number
    finally:
        tracemalloc.stop()
    # NumPy's memory is counted above; that of Pillow and HDF5 here, in KiB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**19
    return refused


def arrays(path):
    load_arrays(path)


def history(path):
    read_history(path)
    plot_history(path, path.with_suffix(".png"))


READERS = {
    "recipe.json": Recipe.load,
    "run.json": read_run,
    "metrics.json": read_metrics,
    "history.csv": history,
    "images.npz": read_numpy,
    "images.npy": arrays,
    "picture.png": arrays,
    "picture.jpg": arrays,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_mutants_are_read_or_named(name, tiny_run, tmp_path):
    if name.startswith("images"):
        (np.save if name.endswith("npy") else np.savez_compressed)(tmp_path / name, IMAGES)
    elif name.startswith("picture"):
        picture = np.kron(COLOUR, np.ones((4, 4, 1), "uint8"))
        (tmp_path / name).write_bytes(saved(picture, "PNG" if name.endswith("png") else "JPEG"))
    else:
        shutil.copy(tiny_run / name, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    READERS[name](tmp_path / name)
    assert survives(tmp_path / name, data, READERS[name]) > MUTANTS // 3


@pytest.mark.slow
def test_mutants_of_weights_are_loaded_or_named(tiny_run, tmp_path):
    model, name = load_run(tiny_run), "model.weights.h5"
    data = (tiny_run / name).read_bytes()
    assert survives(tmp_path / name, data, lambda path: load_weights(model, path))


@pytest.mark.slow
def test_mutants_of_a_model_are_loaded_or_named(tiny_run, tmp_path):
    shutil.copy(tiny_run / "model.weights.h5", tmp_path)
    data = (tiny_run / "config.json").read_bytes()
    assert survives(tmp_path / "config.json", data, lambda path: load_run(path.parent))


@pytest.mark.parametrize("text", ["[" * 5000, "[]", "null", "1", "", '{"a": ' * 3000])
@pytest.mark.parametrize("name", ["recipe.json", "run.json", "metrics.json", "config.json"])
def test_json_of_another_kind_is_named(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=name):
        READERS.get(name, lambda path: load_run(path.parent))(path)


@pytest.mark.parametrize("key", ["parts", "epochs", "wall_time_s", "parameters"])
def test_a_key_that_is_missing_or_of_another_type_is_named(tiny_run, tmp_path, key):
    values = json.loads((tiny_run / "run.json").read_text())
    for changed in ({k: v for k, v in values.items() if k != key}, values | {key: "7"}):
        (tmp_path / "run.json").write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=f"run.json cannot be read as .* its key {key}"):
            read_run(tmp_path / "run.json")

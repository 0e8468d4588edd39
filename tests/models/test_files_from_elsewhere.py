"""A folder from a stranger: no class that is not on the list, no number from another file."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest

import vlae_tf
from tests.tiny import tiny_model
from vlae_tf.files import read_arrays
from vlae_tf.models.allowed import check_classes
from vlae_tf.models.folder import model_config

pytestmark = pytest.mark.jax


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere") / "model"
    folder.mkdir()
    model = tiny_model()
    (folder / "config.json").write_text(model_config(model))
    model.save_weights(folder / "model.weights.h5")
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def refused(folder, words, file):
    with pytest.raises(ValueError, match=words) as caught:
        vlae_tf.VAE.from_preset(folder)
    assert str(folder / file) in str(caught.value)


# === Classes ===

BUILT = []


@keras.saving.register_keras_serializable(package="test_elsewhere")
class Own(keras.layers.Layer):
    """A class of one's own, which notes that it was built."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        BUILT.append(self)


def part(class_name, module="keras.layers", config=None, registered_name=None):
    named = {"class_name": class_name, "module": module, "registered_name": registered_name}
    return named | {"config": config or {}}


UNKNOWN = [
    part("TFSMLayer", config={"filepath": "/tmp/model"}),
    part("Lambda"),
    part("TorchModuleWrapper"),
    part("JaxLayer"),
    part("JaxLayer", registered_name="JaxLayer"),
    part("system", "os"),
    part("get_file", "keras.utils"),
    part("load_model", "keras.saving"),
    part("deserialize", "keras.initializers"),
    part("function", "builtins", "eval", "function"),
    part("__lambda__", "builtins"),
    part("Nobody", "mine", registered_name="mine>Nobody"),
    part("Dense", "keras.layers", registered_name="mine>Dense"),
    part("Dense", None),
    part(["Dense"]),
    part("Dense", ["keras.layers"]),
]


@pytest.mark.parametrize("unknown", UNKNOWN, ids=lambda p: f"{p['module']}.{p['class_name']}")
def test_a_class_that_is_not_listed_is_refused_before_anything_is_built(copy, unknown, tmp_path):
    config = json.loads((copy / "config.json").read_text())
    inner = part("Sequential", "keras", {"layers": [unknown]})
    config["config"]["encoder"] = part("Own", None, {"inner": inner}, "test_elsewhere>Own")
    (copy / "config.json").write_text(json.dumps(config))
    BUILT.clear()
    refused(copy, "made of classes of vlae_tf, .* Received: the class ", "config.json")
    # The way of `keras.saving.load_model`.
    with pytest.raises(ValueError, match="Received: the class "):
        vlae_tf.VLAE.from_config(config["config"])
    assert BUILT == []


def test_what_models_are_made_of_is_allowed():
    encoder = keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(3, "relu", kernel_regularizer=keras.regularizers.L2(0.1)),
            keras.layers.LayerNormalization(dtype="mixed_bfloat16"),
        ]
    )
    inputs = keras.Input((2,))
    graph = keras.Model(inputs, keras.layers.Add()([inputs, keras.layers.ReLU()(inputs)]))
    for value in (encoder, graph, Own()):
        check_classes(keras.saving.serialize_keras_object(value))
    for folder in vlae_tf.catalogue.entries(own=False).values():
        check_classes(json.loads((folder / "config.json").read_text()))


def test_a_config_nested_too_deep_is_refused(copy):
    (copy / "config.json").write_text("[" * 5000)
    refused(copy, "must hold a serialised model", "config.json")


# === Weights ===


def replaced(folder, make):
    """Puts another item in the place of an array, made by `make(file, name, values)`."""
    with h5py.File(folder / "model.weights.h5", "a") as file:
        name = next(name for name in read_arrays(folder / "model.weights.h5"))
        values = file[name][()]
        del file[name]
        make(file, name, values)
    return name


def external(file, name, values):
    path = file.filename + ".bin"
    values.tofile(path)
    file.create_dataset(name, values.shape, values.dtype, external=[(path, 0, h5py.h5f.UNLIMITED)])


def virtual(file, name, values):
    path = file.filename + ".other"
    with h5py.File(path, "w") as other:
        other["values"] = values
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[...] = h5py.VirtualSource(path, "values", values.shape)
    file.create_virtual_dataset(name, layout)


def external_link(file, name, values):
    path = file.filename + ".other"
    with h5py.File(path, "w") as other:
        other["values"] = values
    file[name] = h5py.ExternalLink(path, "values")


def soft_link(file, name, values):
    file["elsewhere"] = values
    file[name] = h5py.SoftLink("/elsewhere")


def texts(file, name, values):
    file.create_dataset(name, values.shape, h5py.string_dtype())


def a_type(file, name, values):
    file[name] = np.dtype("float32")


def another_shape(file, name, values):
    file[name] = np.zeros((*values.shape, 1), "float32")


def nothing(file, name, values):
    pass


def one_more(file, name, values):
    file[name], file["more/vars/0"] = values, values


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (external, "the numbers of .* lie in another file"),
        (virtual, "the numbers of .* lie in another file"),
        (external_link, "is a link"),
        (soft_link, "is a link"),
        (texts, "holds object, not numbers"),
        (a_type, "neither a group nor an array"),
        (another_shape, "has the shape .* and not the model's"),
        (nothing, "it lacks .* of the model's weights"),
        (one_more, "it holds more/vars/0 that the model does not have"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_weights_that_are_not_the_models_own_are_refused_unread(copy, monkeypatch, make, words):
    name = replaced(copy, make)
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_: pytest.fail("read"))
    refused(copy, words, "model.weights.h5")
    assert name

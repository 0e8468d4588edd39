"""A picture becomes the same array, or is refused, at every door: one table of all of them."""

import importlib.util
import sys
import types
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import vlae_tf
from tests.pictures.files import OTHERS, PICTURES, SIZE, grey_of, saved
from tests.tiny import tiny_recipe
from vlae_tf.cli.application import own_images
from vlae_tf.datasets import load_arrays, thresholded
from vlae_tf.pictures import read_picture
from vlae_tf.runs import RunData
from vlae_tf.serving import Client

# Shape and levels of the models that look at the pictures.
MODELS = {
    "binary": ((SIZE, SIZE, 1), 2),
    "grey": ((SIZE, SIZE, 1), 256),
    "colour": ((SIZE, SIZE, 3), 256),
    "smaller": ((5, 3, 1), 2),
    "larger": ((11, 13, 3), 256),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Each picture in a folder of its own, under a name whose ending says nothing."""
    root = tmp_path_factory.mktemp("pictures")
    for name, (data, _) in (PICTURES | OTHERS).items():
        (root / name).mkdir()
        (root / name / "picture.png").write_bytes(data)
    return root


def converted(array, shape):
    """A picture of a model's height and width in the model's channels."""
    channels = array.shape[-1]
    if channels == shape[-1]:
        return array
    return np.repeat(array, 3, -1) if channels == 1 else grey_of(array)


def at_level(image, levels):
    return thresholded(image[None])[0] if levels == 2 else image


# === The doors: each gives the array that the model gets, or raises ===


def as_bytes(path, shape, levels):
    return at_level(read_picture(path.read_bytes(), shape), levels)


def as_file(path, shape, levels):
    return at_level(load_arrays(path, image_shape=shape)[0], levels)


def as_folder(path, shape, levels):
    return at_level(load_arrays(path.parent, image_shape=shape)[0], levels)


def as_parquet(path, shape, levels):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"bytes": path.read_bytes(), "path": path.name}]
    table = path.with_suffix(".parquet")
    parquet.write_table(pyarrow.table({"image": rows}), table)
    return at_level(load_arrays(table, image_shape=shape)[0], levels)


def at_the_command_line(path, shape, levels):
    return own_images(str(path), types.SimpleNamespace(image_shape=shape, levels=levels))[0]


def at_the_client(path, shape, levels):
    client = Client("http://localhost:1", "model")
    client._about = {"image_shape": shape, "levels": levels}
    client._rows = lambda signature, image: {"code": image}
    return client.encode(path)[0]


def in_a_recipe(path, shape, levels):
    if levels == 2:
        pytest.skip("a recipe draws binary images at random")
    recipe = tiny_recipe(path.parent, batch_size=1)
    likelihood = {"class_name": "FactorisedLogisticMixtureLikelihood", "config": {"components": 1}}
    model = recipe.model | {"image_shape": list(shape), "likelihood_family": likelihood}
    return RunData(recipe.replace(model=model)).images[0]


def in_beam(path, shape, levels):
    return _beam().ReadUnit(shape, levels, "image", 128, True)._image(path.read_bytes())


def _beam():
    """export/beam/encode.py, where what it asks of Beam does nothing."""
    beam = mock.MagicMock()
    beam.DoFn = beam.ml.inference.base.ModelHandler = object
    names = ["", ".io", ".io.filesystems", ".metrics", ".ml", ".ml.inference"]
    names += [".ml.inference.base", ".options", ".options.pipeline_options"]
    modules = {f"apache_beam{name}": beam for name in names}
    modules["apache_beam.ml.inference.base"] = beam.ml.inference.base
    source = Path(vlae_tf.__file__).parents[1] / "export" / "beam" / "encode.py"
    spec = importlib.util.spec_from_file_location("encode", source)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, modules):
        spec.loader.exec_module(module)
    return module


DOORS = [
    as_bytes,
    as_file,
    as_folder,
    as_parquet,
    at_the_command_line,
    at_the_client,
    in_a_recipe,
    in_beam,
]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
@pytest.mark.parametrize("model", MODELS)
def test_equal_arrays_or_errors(folder, door, model):
    if door is in_beam:
        pytest.importorskip("tensorflow")
    shape, levels = MODELS[model]
    for name, (_, array) in (PICTURES | OTHERS).items():
        path = folder / name / "picture.png"
        if array is None:
            with pytest.raises(ValueError, match="picture"):
                door(path, shape, levels)
            continue
        found = door(path, shape, levels)
        if shape[:2] == (SIZE, SIZE):
            expected = at_level(converted(array, shape), levels)
        else:
            # Of another size all doors agree: with the first, whose own test is below.
            expected = as_bytes(path, shape, levels)
        np.testing.assert_array_equal(found, expected, err_msg=name)
        assert found.dtype == np.uint8


@pytest.mark.parametrize("model", MODELS)
def test_the_signature_reads_the_same_and_marks_the_others(folder, model):
    tf = pytest.importorskip("tensorflow")
    from vlae_tf.saved_model.png_signatures import PNGSignatures

    shape, levels = MODELS[model]
    read = tf.function(PNGSignatures({}, shape, levels)._read, autograph=False)
    names = list(PICTURES | OTHERS)
    images, readable = read(tf.constant([(PICTURES | OTHERS)[name][0] for name in names]))
    for name, image, right in zip(names, images.numpy(), readable.numpy(), strict=True):
        assert right == (name in PICTURES and PICTURES[name][1] is not None), name
        if right:
            expected = as_bytes(folder / name / "picture.png", shape, levels)
            np.testing.assert_array_equal(image, expected, err_msg=name)


def test_without_a_shape_a_picture_keeps_its_own(folder):
    for name, (data, array) in (PICTURES | OTHERS).items():
        if array is not None:
            np.testing.assert_array_equal(read_picture(data), array, err_msg=name)
            np.testing.assert_array_equal(load_arrays(folder / name)[0], array, err_msg=name)


def test_a_smaller_picture_is_a_mean_of_all_pixels():
    stripes = np.zeros((40, 40), "uint8")
    stripes[:, ::2] = 200
    small = read_picture(saved(stripes), (2, 2, 1))
    np.testing.assert_allclose(small.astype(int), 100, atol=1)

"""A run small enough for a test: 8x8 images, one of everything that a resumed run must keep."""

import keras
import pytest

from tests import tiny
from vlae_tf.runs import data
from vlae_tf.training import train

SIZES = {"filters": [2], "blocks": 0, "units": 4, "dropout": 0.2, "weight_norm": True}


def make_recipe(dataset, **fields):
    model = tiny.TINY_MODEL | {
        "latent_dim": 3,
        "encoder": {"class_name": "ResNetEncoder", "config": SIZES},
        "decoder": {"class_name": "ResNetDecoder", "config": SIZES | {"maps": 2, "dropout": 0.0}},
    }
    defaults = {
        "model": model,
        "objective": {"class_name": "SoftFreeBitsELBO", "config": {"free_bits": 1.0}},
        "epochs": 3,
        "batch_size": 8,
        "optimizer": {"class_name": "Adamax", "config": {"learning_rate": 1e-2}},
        "validation_split": "validation",
    }
    return tiny.tiny_recipe(dataset, **defaults | fields)


@pytest.fixture(scope="session")
def run_recipe():
    """The recipe of a tiny run on a file of own images; any field may be given."""
    return make_recipe


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A file of own images; the 24 for training are three steps of 8."""
    path = tmp_path_factory.mktemp("images") / "images.npz"
    return tiny.write_images(path, train=24, validation=6)


class Calls(list):
    """The names of what a run called, of what is counted here."""

    def watch(self, patch, owner, name):
        original = getattr(owner, name)

        def call(*args, **kwargs):
            self.append(name)
            return original(*args, **kwargs)

        patch.setattr(owner, name, call)


@pytest.fixture(scope="session")
def calls():
    return Calls()


@pytest.fixture(scope="session")
def finished(images, calls, tmp_path_factory):
    """The folder of an uninterrupted run and the model it gave. To be left as they are."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    on_tensorflow = keras.backend.backend() == "tensorflow"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("load_arrays", "ImageBatches"):
            calls.watch(patch, data, name)
        if on_tensorflow:
            import tensorflow as tf

            calls.watch(patch, tf.data.Dataset, "from_generator")
        with tiny.eagerly():
            model = train(
                make_recipe(images),
                folder,
                verbose=0,
                tensorboard=on_tensorflow,
                command="vlae-tf train tiny.json --out run",
            )
    return folder, model

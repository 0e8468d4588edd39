"""A run small enough for a test: 8x8 images, one of everything that a resumed run must keep."""

import dataclasses

import keras
import numpy as np
import pytest

from vlae_tf.runs import Recipe
from vlae_tf.training import train


def write_images(path, highest=1, **sizes):
    rng = np.random.default_rng(0)
    splits = {
        name: rng.integers(0, highest, (n, 8, 8, 1), "uint8", endpoint=True)
        for name, n in sizes.items()
    }
    np.savez(path, **splits)
    return str(path)


def make_recipe(dataset, **changes):
    sizes = {"filters": [2], "blocks": 1, "units": 8, "dropout": 0.2, "weight_norm": True}
    network = {"class": "LocalPixelCNN", "filters": 4, "blocks": 1, "first_kernel_size": 3}
    recipe = Recipe(
        dataset=dataset,
        model={
            "latent_dim": 3,
            "encoder": {"class": "ResNetEncoder", **sizes},
            "decoder": {"class": "ResNetDecoder", "maps": 2, **sizes},
            "prior_family": {"class": "FlowPrior", "steps": 1, "hidden_units": [8]},
            "likelihood_family": {"class": "PixelCNNLikelihood", "network": network},
        },
        objective={"class": "SoftFreeBitsELBO", "free_bits": 1.0},
        epochs=3,
        batch_size=8,
        learning_rate=1e-2,
    )
    return dataclasses.replace(recipe, **changes)


@pytest.fixture(scope="session")
def save_images():
    """Writes random own images to a path, with as many in each split as it is told."""
    return write_images


@pytest.fixture(scope="session")
def tiny_recipe():
    """The recipe of a tiny run on a file of own images; any field may be given."""
    return make_recipe


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A file of own images; the 24 for training are three steps of 8."""
    path = tmp_path_factory.mktemp("images") / "images.npz"
    return write_images(path, train=24, validation=6)


@pytest.fixture(scope="session")
def finished(images, tmp_path_factory):
    """The folder of an uninterrupted run and the model it gave. To be left as they are."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    model = train(
        make_recipe(images),
        folder,
        verbose=0,
        tensorboard=keras.backend.backend() == "tensorflow",
        command="vlae-tf train tiny.json --out run",
    )
    return folder, model

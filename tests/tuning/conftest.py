"""A search small enough for a test: 8x8 images without a test split, two sizes of the code."""

import numpy as np
import pytest

from tests.conftest import TINY_MODEL
from vlae_tf.runs import Recipe


@pytest.fixture(scope="session")
def images_file(tmp_path_factory):
    """Own images. There is no test split: whoever asks for it fails."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("images") / "images.npz"
    images = (rng.random((96, 8, 8, 1)) < 0.2).astype("uint8")
    np.savez(path, train=images[:64], validation=images[64:])
    return path


@pytest.fixture(scope="session")
def recipe(images_file):
    return Recipe(
        str(images_file),
        TINY_MODEL,
        epochs=2,
        batch_size=16,
        train_split="train+validation",
        validation_split=None,
    )

"""A search small enough for a test: 8x8 images without a test split, two sizes of the code."""

import gc

import pytest

from tests.tiny import TINY_MODEL, tiny_recipe, write_images

MODEL = TINY_MODEL | {
    "prior_family": {"class_name": "FlowPrior", "config": {"steps": 0}},
    "likelihood_family": {"class_name": "BernoulliLikelihood"},
}


@pytest.fixture(scope="module", autouse=True)
def eager():
    """Every trial is a new model that takes a few steps: to trace them would take longer."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """keras-tuner collects garbage before each model: not through all imported libraries."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def recipe(tmp_path_factory):
    """Two epochs of two steps. There is no test split: to ask for it is an error."""
    path = tmp_path_factory.mktemp("images") / "images.npz"
    return tiny_recipe(
        write_images(path, train=16, validation=16),
        model=MODEL,
        epochs=2,
        batch_size=8,
        train_split="train+validation",
    )

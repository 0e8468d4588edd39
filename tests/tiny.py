"""Tiny models, recipes and images for every room, and helpers to look at what comes of them."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
from keras import ops

import vlae_tf

SHAPE = (6, 6, 1)


# === Models ===


def tiny_parts(
    image_shape=SHAPE,
    latent_dim=3,
    levels=2,
    dropout=0.0,
    weight_norm=False,
    dtype="float32",
    blocks=None,
):
    """The parts of a model that is built and traced in a moment, by the arguments of `VAE`.

    Without `blocks`, there are none unless for dropout, which is in them alone.
    """
    from vlae_tf.layers import LocalPixelCNN
    from vlae_tf.likelihoods import LogisticMixtureLikelihood, PixelCNNLikelihood
    from vlae_tf.networks import ResNetDecoder, ResNetEncoder
    from vlae_tf.objectives import ELBO
    from vlae_tf.posteriors import GaussianPosterior
    from vlae_tf.priors import FlowPrior

    options = {"dropout": dropout, "weight_norm": weight_norm, "dtype": dtype}
    blocks = int(dropout > 0) if blocks is None else blocks
    sizes = {"filters": [4], "blocks": blocks, "units": 8}
    kind, extra = (
        (PixelCNNLikelihood, {}) if levels == 2 else (LogisticMixtureLikelihood, {"components": 2})
    )
    network = LocalPixelCNN(
        kind.parameters_a_pixel(image_shape, **extra),
        filters=4,
        blocks=blocks,
        first_kernel_size=3,
        **options,
    )
    return {
        "encoder": ResNetEncoder(**sizes, **options),
        "decoder": ResNetDecoder(image_shape, maps=2, **sizes, **options),
        "posterior_family": GaussianPosterior(latent_dim),
        "prior_family": FlowPrior(latent_dim, steps=2, hidden_units=[8]),
        "likelihood_family": kind(image_shape, network, dtype=dtype, **extra),
        "objective": ELBO(),
    }


def tiny_model(
    image_shape=SHAPE,
    latent_dim=3,
    levels=2,
    dropout=0.0,
    weight_norm=False,
    dtype="float32",
    blocks=None,
    **parts,
):
    """A `VLAE` of `tiny_parts`; any part or other argument may be given."""
    defaults = tiny_parts(image_shape, latent_dim, levels, dropout, weight_norm, dtype, blocks)
    return vlae_tf.VLAE(image_shape, latent_dim, dtype=dtype, **defaults | parts)


def tiny_control(image_shape=SHAPE, **options):
    """The control of `tiny_model`: the same decoder without a code."""
    from vlae_tf.networks import Unconditional
    from vlae_tf.posteriors import PriorPosterior
    from vlae_tf.priors import FlowPrior

    decoder = tiny_parts(image_shape, 1)["decoder"]
    return tiny_model(
        image_shape,
        1,
        encoder=keras.layers.GlobalAveragePooling2D(),
        decoder=Unconditional(decoder),
        posterior_family=PriorPosterior(1),
        prior_family=FlowPrior(1, steps=0),
        **options,
    )


def numpy_of(tensor):
    return ops.convert_to_numpy(tensor)


@contextlib.contextmanager
def eagerly():
    """On TensorFlow, functions run as plain Python: to trace one takes longer than a few calls."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


# === Images ===


def random_images(n=20, image_shape=SHAPE, levels=2, seed=0):
    """uint8 `(n, *image_shape)`."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, levels, (n, *image_shape)).astype("uint8")


def all_images(image_shape=(2, 3, 1)):
    """Every binary image there is of this shape."""
    size = int(np.prod(image_shape))
    bits = np.arange(2**size)[:, None] >> np.arange(size) & 1
    return bits.reshape(-1, *image_shape).astype("uint8")


def write_images(path, levels=2, image_shape=(8, 8, 1), **sizes):
    """An .npz of own images, with as many in each split as `sizes` says; returns its path."""
    splits = {
        name: random_images(n, image_shape, levels, seed)
        for seed, (name, n) in enumerate(sizes.items())
    }
    np.savez(path, **splits)
    return str(path)


# === Recipes ===

TINY_MODEL = {
    "latent_dim": 2,
    "encoder": {
        "class_name": "ResNetEncoder",
        "config": {"filters": [2], "blocks": 0, "units": 4},
    },
    "decoder": {
        "class_name": "ResNetDecoder",
        "config": {"filters": [2], "blocks": 0, "units": 4, "maps": 2},
    },
    "prior_family": {"class_name": "FlowPrior", "config": {"steps": 1, "hidden_units": [4]}},
    "likelihood_family": {
        "class_name": "PixelCNNLikelihood",
        "config": {
            "network": {
                "class_name": "LocalPixelCNN",
                "config": {"filters": 2, "blocks": 0, "first_kernel_size": 7},
            }
        },
    },
}


def tiny_recipe(dataset, **fields):
    """The recipe of a run of one epoch on a file of own images; any field may be given."""
    from vlae_tf.runs import Recipe

    defaults = {"model": TINY_MODEL, "epochs": 1, "validation_split": None}
    return Recipe(dataset=str(dataset), **defaults | fields)


def untrained_run(folder, recipe, image_shape):
    """Makes the folder of a run, with the model as it is before training; returns the folder."""
    from vlae_tf.models.folder import model_config

    folder.mkdir()
    model = recipe.build_model(image_shape)
    (folder / "recipe.json").write_text(recipe.to_json())
    (folder / "config.json").write_text(model_config(model))
    model.save_weights(folder / "model.weights.h5")
    return folder


# === Processes of their own ===


def run_python(code, *arguments, **environment):
    """What `code` prints in an interpreter of its own, as text."""
    # The parent's search path, so that the child finds the same package, installed or not.
    path = os.pathsep.join([str(Path(vlae_tf.__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path} | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_json(code, *arguments, **environment):
    """What `code` prints in an interpreter of its own, read as JSON."""
    return json.loads(run_python(code, *arguments, **environment))

"""One trained tiny model, its SavedModel, and what a process without vlae_tf gets from it."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import vlae_tf
from vlae_tf.layers import LocalPixelCNN
from vlae_tf.likelihoods import PixelCNNLikelihood
from vlae_tf.networks import ResNetDecoder, ResNetEncoder
from vlae_tf.priors import FlowPrior

# All that a client has is TensorFlow: it answers the requests in one file with answers in another.
CLIENT = """
import sys
sys.modules.update(vlae_tf=None, keras=None, tf_keras=None, tensorflow_probability=None)
import numpy as np, tensorflow as tf
path, inputs, outputs = sys.argv[1:]
requests = {}
for key, value in np.load(inputs).items():
    signature, label, name = key.split("/")
    requests.setdefault((signature, label), {})[name] = tf.constant(value)
answers = {}
for replica in ("first", "second"):
    served = tf.saved_model.load(path)
    for (signature, label), request in requests.items():
        for name, value in served.signatures[signature](**request).items():
            answers[f"{replica}/{signature}/{label}/{name}"] = value.numpy()
np.savez(outputs, **answers)
"""


def build(image_shape=(8, 8, 1), latent_dim=4, policy="float32", **parts):
    """A VLAE that is built and traced in a moment, with weights far from their initial values."""
    keras.utils.set_random_seed(1)
    small = {"filters": [4], "blocks": 1, "units": 8, "dropout": 0.1, "dtype": policy}
    network = LocalPixelCNN(filters=4, blocks=1, first_kernel_size=3, dtype=policy)
    defaults = {
        "encoder": ResNetEncoder(**small),
        "decoder": ResNetDecoder(image_shape, maps=2, **small),
        "prior_family": FlowPrior(latent_dim, steps=2 if latent_dim else 0, hidden_units=[8]),
        "likelihood_family": PixelCNNLikelihood(image_shape, network, dtype=policy),
    }
    model = vlae_tf.VLAE(image_shape, latent_dim, **{**defaults, **parts}, dtype=policy)
    noise = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign_add(noise.normal(0.0, 0.2, weight.shape))
    return model


@pytest.fixture(scope="session")
def tiny_vlae():
    """Builds a `VLAE` of 8x8 images; any of its arguments may be given."""
    return build


@pytest.fixture(scope="session")
def model():
    """Trained for a step, so that it has an optimizer, metrics and seeds to leave behind."""
    model = build()
    model.compile(optimizer=keras.optimizers.Adamax(1e-3))
    model.fit(np.zeros((4, 8, 8, 1), "uint8"), verbose=0)
    return model


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory):
    """The folder of version 1."""
    return vlae_tf.saved_model.export(
        model, tmp_path_factory.mktemp("served") / "tiny", importance_samples=3
    )


@pytest.fixture(scope="session")
def requests():
    """Five rows for each signature."""
    noise = np.random.default_rng(0)
    image = noise.integers(0, 2, (5, 8, 8, 1)).astype("uint8")
    seed = np.array([3, 1, 4, 1, -5], "int32")
    code = noise.normal(size=(5, 4)).astype("float32")
    temperature = np.array([0.5, 0.7, 1.0, 1.3, 0.0], "float32")
    return {
        "serving_default": {"image": image},
        "encode": {"image": image},
        "decode": {"code": code, "seed": seed},
        "reconstruct": {"image": image, "seed": seed},
        "sample": {"seed": seed, "temperature": temperature},
        "log_prob": {"image": image, "seed": seed},
    }


@pytest.fixture(scope="session")
def answers(exported, requests, tmp_path_factory):
    """Answers of a fresh process: `answers[replica, signature, label]` is a dict of arrays."""
    folder = tmp_path_factory.mktemp("client")
    labels = {"all": slice(None), "again": slice(None), "alone": [2], "others": [4, 2, 0]}
    np.savez(
        folder / "requests.npz",
        **{
            f"{signature}/{label}/{name}": value[rows]
            for signature, request in requests.items()
            for label, rows in labels.items()
            for name, value in request.items()
        },
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-c", CLIENT, str(exported), "requests.npz", "answers.npz"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {}
    for key, value in np.load(folder / "answers.npz").items():
        *request, name = key.split("/")
        found.setdefault(tuple(request), {})[name] = value
    return found

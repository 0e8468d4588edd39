"""One tiny model, its SavedModel, and requests to it: shared by all tests of what is served."""

import keras
import numpy as np
import pytest

from tests.tiny import tiny_model

SHAPE = (8, 8, 1)
LATENT_DIM = 4


def build(image_shape=SHAPE, latent_dim=LATENT_DIM, **options):
    """A `tiny_model` with weights far from their initial values."""
    keras.utils.set_random_seed(1)
    model = tiny_model(image_shape, latent_dim, **{"dropout": 0.1, **options})
    return moved(model)


def moved(model):
    """`model` with its weights moved by noise."""
    noise = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign_add(noise.normal(0.0, 0.2, weight.shape))
    return model


def save_encode(model, path):
    """Writes a SavedModel with the signature `encode` alone, which takes a moment."""
    import tensorflow as tf

    from vlae_tf.saved_model.signatures import Signatures

    image = tf.TensorSpec((None, *model.image_shape), tf.uint8, name="image")
    encode = tf.function(Signatures(model, importance_samples=1).encode)
    encode = encode.get_concrete_function(image=image)
    module = tf.Module()
    module.weights = list(encode.variables)
    tf.saved_model.save(module, path, signatures={"encode": encode})


def save_count(path, version):
    """A SavedModel that answers with its version, twice, for each row."""
    import tensorflow as tf

    module = tf.Module()
    module.version = tf.Variable(version)

    def count(x):
        answer = tf.zeros_like(x) + module.version
        # Read apart, so that an answer from two versions would show.
        return {"version": answer, "again": tf.reverse(tf.zeros_like(x) + module.version, [0])}

    spec = tf.TensorSpec([None], tf.int32, name="x")
    signature = tf.function(count).get_concrete_function(spec)
    tf.saved_model.save(module, path, signatures=signature)


@pytest.fixture(scope="session")
def model():
    """Trained for a step, so that it has an optimizer, metrics and seeds to leave behind."""
    model = build()
    model.compile(optimizer=keras.optimizers.Adamax(1e-3), run_eagerly=True)
    model.fit(np.zeros((4, *SHAPE), "uint8"), verbose=0)
    return model


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory):
    """The folder of version 1."""
    return model.export(tmp_path_factory.mktemp("served") / "tiny", importance_samples=3)


@pytest.fixture(scope="session")
def loaded(exported):
    """The signatures of that SavedModel, in this process."""
    import tensorflow as tf

    saved_model = tf.saved_model.load(exported)
    # The variables live as long as the loaded object, not as long as its signatures.
    yield saved_model.signatures


@pytest.fixture(scope="session")
def versions(tmp_path_factory):
    """The SavedModels of `save_count`, versions 1 to 3."""
    folder = tmp_path_factory.mktemp("versions") / "count"
    for version in (1, 2, 3):
        save_count(folder / str(version), version)
    return folder


@pytest.fixture(scope="session")
def requests():
    """Five rows for each signature."""
    noise = np.random.default_rng(0)
    image = noise.integers(0, 2, (5, *SHAPE)).astype("uint8")
    seed = np.array([3, 1, 4, 1, -5], "int32")
    code = noise.normal(size=(5, LATENT_DIM)).astype("float32")
    temperature = np.array([0.5, 0.7, 1.0, 1.3, 0.0], "float32")
    return {
        "serving_default": {"image": image},
        "encode": {"image": image},
        "decode": {"code": code, "seed": seed},
        "reconstruct": {"image": image, "seed": seed},
        "sample": {"seed": seed, "temperature": temperature},
        "log_prob": {"image": image, "seed": seed},
    }

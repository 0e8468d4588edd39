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
    """Writes a SavedModel with the signatures `encode` and `about` alone, which takes a moment."""
    import tensorflow as tf

    from vlae_tf.saved_model.signatures import Signatures

    signatures = Signatures(model, importance_samples=1)
    image = tf.TensorSpec((None, *model.image_shape), tf.uint8, name="image")
    encode = tf.function(signatures.encode).get_concrete_function(image=image)
    seed = tf.TensorSpec([None], tf.int32, name="seed")
    about = tf.function(lambda seed: signatures.about("of no weights", seed))
    module = tf.Module()
    module.weights = list(encode.variables)
    about = about.get_concrete_function(seed=seed)
    tf.saved_model.save(module, path, signatures={"encode": encode, "about": about})


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


def save_odd(path):
    """A SavedModel that counts to the first number as `spin`, and adds 7 to one number as `one`.

    `one` fails for more rows than one, and adds another number if it is given.
    """
    import tensorflow as tf

    spec, seven = tf.TensorSpec([None], tf.int32), tf.constant([7])

    @tf.function(input_signature=[spec])
    def spin(x):
        turns = tf.while_loop(lambda n: n < x[0], lambda n: [n + 1], [tf.constant(0)])
        return {"y": x + 0 * turns[0]}

    @tf.function(input_signature=[spec, spec])
    def one(x, y=seven):
        return {"sum": tf.ensure_shape(x + y, [1])}

    tf.saved_model.save(tf.Module(), path, signatures={"spin": spin, "one": one})


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
    """The SavedModels of `save_count`, versions 1 to 3, beside one of `save_odd`."""
    folder = tmp_path_factory.mktemp("versions") / "count"
    for version in (1, 2, 3):
        save_count(folder / str(version), version)
    save_odd(folder.parent / "odd" / "1")
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
        "about": {"seed": seed},
    }

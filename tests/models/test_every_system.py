"""What every system promises, whatever its parts: a system is a row in `tests/systems.py`."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.stats import norm, qmc

from tests.gradients import randomise, weight_gradients
from tests.systems import PARTS, SHAPE, make_system
from tests.tiny import all_images, eagerly, numpy_of
from vlae_tf.models import importance_weighted_terms
from vlae_tf.objectives import log_weights

pytestmark = pytest.mark.slow

jax = pytest.mark.jax
TENSORFLOW = keras.backend.backend() == "tensorflow"
IMAGES = all_images(SHAPE)
eager = pytest.mark.usefixtures("eager")
# Systems that train in a graph on TensorFlow, the others step by step. JAX compiles all.
IN_A_GRAPH = ("VLAE", "soft free bits", "importance-weighted, outside")


def prepared(name):
    """The system with weights that all matter, and a posterior that importance sampling can use."""
    model = randomise(make_system(name), scale=0.2)
    for family in (model.posterior_family, model.prior_family):
        for weight in family.trainable_weights:
            weight.assign(0.5 * weight)
    return model


@pytest.fixture(scope="module", params=PARTS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    """To be left as it is."""
    return prepared(name)


@pytest.fixture(scope="module")
def terms(model):
    with eagerly():
        return importance_weighted_terms(model, IMAGES, 256, seed=3, batch_size=64 * 256)


@jax
def test_config_holds_every_argument(model):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert type(copy) is type(model)
    assert copy.get_config() == model.get_config()


@jax
def test_likelihood_is_that_of_brute_force(model, terms):
    """p(x) = E_{z ~ p(z)} p(x | z) over an even spread of noise: it sums to 1 over all images, and
    the importance-weighted estimate of each is right within its error."""
    sobol = qmc.Sobol(model.latent_dim, seed=0).random(2048)
    codes = model.prior().from_noise(ops.convert_to_tensor(norm.ppf(sobol).astype("float32")))
    distribution = model.likelihood(codes)
    each = [
        numpy_of(distribution.log_prob(np.broadcast_to(image, (2048, *SHAPE)).astype("float32")))
        for image in IMAGES
    ]
    exact = np.log(np.exp(np.array(each, "float64")).mean(axis=1))
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-4)
    assert np.exp(terms["log_prob"]).sum() == pytest.approx(1, abs=0.03)
    # The exponential of an estimate is unbiased; 256 samples leave a few hundredths of a nat.
    errors = terms["log_prob"] - exact
    assert abs(errors.mean()) < 0.02 and np.sqrt(np.mean(errors**2)) < 0.1
    assert (terms["elbo"] <= terms["log_prob"] + 1e-6).all()


@eager
def test_rows_do_not_mix(model, terms):
    alone = importance_weighted_terms(model, IMAGES[[9]], 256, seed=[0])
    with_others = importance_weighted_terms(model, IMAGES[[9, 3, 60]], 256, seed=[0, 1, 2])
    for key, value in alone.items():
        np.testing.assert_allclose(with_others[key][:1], value, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.encode(IMAGES[[9]])[0], model.encode(IMAGES)[9], atol=1e-5)
    samples = model.sample(4, seed=1)
    np.testing.assert_array_equal(model.sample(2, seed=1), samples[:2])
    assert set(np.unique(samples)) <= {0, 1}


def test_noise_decides_the_code(model):
    noise = np.random.default_rng(0).normal(size=(3, 64, model.latent_dim)).astype("float32")
    first, again = (
        log_weights(model, IMAGES.astype("float32"), ops.convert_to_tensor(noise)) for _ in range(2)
    )
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(numpy_of(one), numpy_of(same))
    assert tuple(first.code.shape) == (3, 64, model.latent_dim)
    assert tuple(first.log_w.shape) == (3, 64)
    other = noise.copy()
    other[1, 5] += 1.0
    moved = numpy_of(log_weights(model, IMAGES.astype("float32"), other).code) != numpy_of(
        first.code
    )
    assert moved[1, 5].any() and moved.sum() == moved[1, 5].sum()


def test_call_gives_center_and_spread_of_the_posterior(model):
    output, posterior = model(IMAGES), model.posterior(IMAGES)
    for name, expected in (("code", posterior.center()), ("scale", posterior.spread())):
        assert tuple(output[name].shape) == (64, model.latent_dim)
        np.testing.assert_allclose(numpy_of(output[name]), numpy_of(expected), atol=1e-6)
    assert (numpy_of(output["scale"]) >= 0).all()
    log_probs = model.cluster_log_probs(output["code"])
    assert ("cluster" in output) == ("cluster_probability" in output) == bool(log_probs)
    assert bool(log_probs) == hasattr(model.prior_family, "cluster_log_probs")
    for rung, each in enumerate(map(numpy_of, log_probs)):
        cluster, probability = (
            numpy_of(output[name])[:, rung] for name in ("cluster", "cluster_probability")
        )
        np.testing.assert_array_equal(cluster, each.argmax(axis=-1))
        np.testing.assert_allclose(np.log(probability), each[np.arange(64), cluster], atol=1e-5)


def test_objective_gives_the_terms_it_declares(model):
    x = IMAGES.astype("float32")
    for training in (False, True):
        found = model.objective(x, model=model, training=training)
        assert set(found) == {"loss", *model.objective.terms}
        assert {"elbo", "reconstruction", "kl"} <= set(model.objective.terms)
        spec = model.objective.compute_output_spec(keras.KerasTensor(x.shape), model)
        for key, value in found.items():
            value = numpy_of(value)
            assert np.isfinite(value).all() and value.dtype == np.float32, key
            assert value.shape == tuple(spec[key].shape), key
            assert key in ("loss", "mpd_mean", "mpd_std", "mmd") or value.shape == (64,), key
        np.testing.assert_allclose(
            numpy_of(found["elbo"]),
            numpy_of(found["reconstruction"]) - numpy_of(found["kl"]),
            rtol=1e-4, atol=1e-4,
        )  # fmt: skip


def test_gradient_reaches_every_weight(model):
    gradients = weight_gradients(
        model, lambda: model.objective(IMAGES.astype("float32"), model=model)["loss"]
    )
    dead = [path for path, gradient in gradients.items() if not np.any(gradient)]
    # The control has a kernel that would multiply the code.
    assert dead == ([] if model.has_code else [model.decoder.decoder._dense._kernel.path])


@jax
def test_it_trains_and_a_resumed_run_ends_where_the_uninterrupted_one_does(name, tmp_path):
    def train(model, epochs, initial_epoch=0):
        return model.fit(
            IMAGES, batch_size=32, epochs=epochs, initial_epoch=initial_epoch, shuffle=False,
            validation_data=(IMAGES,), validation_batch_size=32, verbose=0,
        ).history  # fmt: skip

    model = make_system(name)
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        run_eagerly=TENSORFLOW and name not in IN_A_GRAPH,
        jit_compile=not TENSORFLOW,
    )
    history = train(model, 1)
    names = {"loss", *model.objective.terms, "bits_per_dim", "code_bits"}
    assert set(history) == names | {f"val_{n}" for n in names}
    assert all(np.isfinite(values).all() for values in history.values())
    model.save_weights(tmp_path / "latest.weights.h5")
    uninterrupted = train(model, 2, 1)
    weights = [numpy_of(weight.value) for weight in model.weights]
    # Everything that decides the result is in the file, or the same epoch would end elsewhere.
    model.load_weights(tmp_path / "latest.weights.h5")
    assert train(model, 2, 1) == uninterrupted
    for expected, weight in zip(weights, model.weights, strict=True):
        np.testing.assert_array_equal(expected, numpy_of(weight.value))


@eager
def test_the_saved_model_is_the_same(model, terms, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.encode(IMAGES), model.encode(IMAGES))
    np.testing.assert_array_equal(loaded.sample(3, seed=2), model.sample(3, seed=2))
    again = importance_weighted_terms(loaded, IMAGES, 256, seed=3, batch_size=64 * 256)
    np.testing.assert_allclose(again["log_prob"], terms["log_prob"], rtol=1e-6)


@eager
def test_served_answers_are_those_of_python(name, model, tmp_path):
    tf = pytest.importorskip("tensorflow")
    if name in ("free bits in groups", "soft free bits"):
        pytest.skip("what is served does not depend on the objective")
    path = model.export(tmp_path / "served", importance_samples=4)
    signatures = tf.saved_model.load(path).signatures
    seeds = np.arange(64, dtype="int32")
    image, seed = tf.constant(IMAGES), tf.constant(seeds)
    encoded = signatures["encode"](image=image)
    np.testing.assert_allclose(encoded["code"], model.encode(IMAGES), atol=1e-5)
    np.testing.assert_allclose(encoded["scale"], numpy_of(model(IMAGES)["scale"]), atol=1e-5)
    assert np.isfinite(encoded["code_bits"]).all()
    here = model(IMAGES)
    assert set(encoded) == {*here, "code_bits"}
    for key in set(here) - {"code", "scale"}:
        np.testing.assert_allclose(encoded[key], numpy_of(here[key]), atol=1e-5)
    clusters = [each.shape[-1] for each in model.cluster_log_probs(here["code"])]
    about = signatures["about"](seed=tf.constant([0, 1]))
    assert clusters == ([] if "clusters" not in about else about["clusters"][1].numpy().tolist())
    decoded = signatures["decode"](code=encoded["code"], seed=seed)["image"].numpy()
    assert (decoded == model.decode(model.encode(IMAGES), seed=seeds)).mean() > 0.99
    ones = np.ones(64, "float32")
    sampled = signatures["sample"](seed=seed, temperature=tf.constant(ones))
    assert (sampled["image"].numpy() == model.sample(64, seed=seeds)).mean() > 0.99
    many = np.repeat(IMAGES, 8, axis=0)
    seed = tf.range(len(many))
    served = signatures["log_prob"](image=tf.constant(many), seed=seed)
    # Noise of its own, so the means agree within their errors.
    expected = importance_weighted_terms(model, many, 4, batch_size=len(many) * 4)
    assert (served["elbo"] <= served["log_prob"] + 1e-5).numpy().all()
    for key in ("log_prob", "elbo"):
        assert abs(served[key].numpy().mean() - expected[key].mean()) < 0.15

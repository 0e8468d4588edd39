"""Files: the whole model, its weights alone, and what a wrong file says."""

import threading
import warnings

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from tests.tiny import run_json, run_python, tiny_control, tiny_model
from vlae_tf.files import load_weights
from vlae_tf.likelihoods import BernoulliLikelihood
from vlae_tf.objectives import SoftFreeBitsELBO
from vlae_tf.posteriors import IAFPosterior
from vlae_tf.training import averaged

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]


def other_parts():
    return tiny_model(
        posterior_family=IAFPosterior(3, steps=1, hidden_units=[8], context_size=4),
        likelihood_family=BernoulliLikelihood((6, 6, 1)),
        objective=SoftFreeBitsELBO(free_bits=1.0),
    )


VARIANTS = {
    "default": tiny_model,
    "weight-normalised": lambda: tiny_model(weight_norm=True, dropout=0.1),
    "control": tiny_control,
    "bfloat16": lambda: tiny_model(dtype="mixed_bfloat16"),
    "other parts": other_parts,
}


def outputs(model, images):
    code = model.encode(images)
    log_prob = model.likelihood(ops.convert_to_tensor(code)).log_prob(images)
    return code, ops.convert_to_numpy(log_prob), model.sample(3, seed=0)


def assert_same_outputs(model, other, images):
    for first, second in zip(outputs(model, images), outputs(other, images), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "variant", [pytest.param("default", marks=pytest.mark.jax), *list(VARIANTS)[1:]]
)
def test_model_and_weights_come_back_the_same(images, tmp_path, variant):
    model = VARIANTS[variant]()
    model.objective.step.assign(5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.to_json() == model.to_json()
    assert_same_outputs(model, loaded, images)

    model.save_weights(tmp_path / "model.weights.h5")
    fresh = VARIANTS[variant]()
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert_same_outputs(model, fresh, images)
    assert int(loaded.objective.step) == int(fresh.objective.step) == 5


def test_a_saved_model_goes_on_training(tiny_vlae, images, tmp_path):
    model = tiny_vlae(dropout=0.1)
    model.compile(optimizer=keras.optimizers.Adamax(0.01, use_ema=True), jit_compile=False)
    model.fit(images, batch_size=8, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    histories = [
        each.fit(images, batch_size=8, shuffle=False, verbose=0).history for each in (model, loaded)
    ]
    assert histories[0] == histories[1]


def test_model_loads_in_a_fresh_process_without_custom_objects(tiny_vlae, images, tmp_path):
    model = tiny_vlae()
    model.compile(averaged(keras.optimizers.Adam)(1e-3))
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    run_python(
        "import keras, numpy, vlae_tf\n"
        f"model = keras.saving.load_model({str(tmp_path / 'model.keras')!r})\n"
        "assert type(model.optimizer).__name__ == 'AveragedAdam'\n"
        f"images = numpy.load({str(tmp_path / 'images.npy')!r})\n"
        f"numpy.save({str(tmp_path / 'codes.npy')!r}, model.encode(images))"
    )
    codes = np.load(tmp_path / "codes.npy")
    np.testing.assert_allclose(codes, model.encode(images), rtol=1e-4, atol=1e-6)


def test_layout_of_the_weights_file_stays_as_it_is(tiny_vlae, tmp_path):
    """Trained weights are found by these names: a change would make every file unreadable."""
    tiny_vlae(dropout=0.1).save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    pixelcnn = "layers/pixel_cnn_likelihood/network"
    for name in (
        "encoder/_first/vars/0",
        "encoder/_blocks/residual_block/_first/vars/1",
        "encoder/_dense/vars/0",
        "decoder/_dense/vars/0",
        "decoder/_layout/vars/0",
        "decoder/_blocks/residual_block/_second/vars/0",
        "decoder/_last/vars/0",
        "layers/elbo/vars/0",
        "layers/flow_prior/_steps/made/_hidden/masked_dense/vars/0",
        "layers/flow_prior/_steps/made_1/_output/vars/1",
        "layers/gaussian_posterior/_dense/vars/0",
        f"{pixelcnn}/_first/vars/0",
        f"{pixelcnn}/_condition/vars/0",
        f"{pixelcnn}/_blocks/gated_masked_block/_first/vars/0",
        f"{pixelcnn}/_blocks/gated_masked_block/_second_condition/vars/0",
        f"{pixelcnn}/_output/vars/0",
        "vars/seed_state_0",
        "vars/seed_state_3",
    ):
        assert name in names
    assert not any(name.startswith("_") for name in names)


@pytest.mark.jax
def test_states_of_the_random_generators_are_saved(tiny_vlae, images, tmp_path):
    model, other = tiny_vlae(dropout=0.1), tiny_vlae(dropout=0.1)
    for _ in range(2):
        model.objective(images, model=model, training=True)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    losses = [float(m.objective(images, model=m, training=True)["loss"]) for m in (model, other)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("saved, loaded", [(0.1, 0.0), (0.0, 0.1)])
def test_weights_load_where_the_dropout_is_another(tiny_vlae, images, tmp_path, saved, loaded):
    model, path = tiny_vlae(dropout=saved, blocks=1), tmp_path / "model.weights.h5"
    model.save_weights(path)
    other = tiny_vlae(dropout=loaded, blocks=1)
    for weight in other.trainable_weights:
        weight.assign(weight + 1.0)
    load_weights(other, path)
    np.testing.assert_array_equal(other.encode(images), model.encode(images))


def test_other_threads_may_warn_while_weights_are_loaded(tiny_vlae, tmp_path, monkeypatch):
    model, path = tiny_vlae(), tmp_path / "model.weights.h5"
    model.save_weights(path)
    load, warned = model.load_weights, []

    def warn():
        warnings.warn("of something else", stacklevel=1)
        warned.append(True)

    def loading(path):
        thread = threading.Thread(target=warn)
        thread.start()
        thread.join()
        load(path)

    monkeypatch.setattr(model, "load_weights", loading)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_weights(model, path)
    assert warned


def test_weights_of_another_model_are_refused(tiny_vlae, tmp_path):
    tiny_vlae(latent_dim=2).save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match="could not be loaded|shape"):
        tiny_vlae().load_weights(tmp_path / "model.weights.h5")


def test_a_truncated_weights_file_is_refused(tiny_vlae, tmp_path):
    path = tmp_path / "model.weights.h5"
    model = tiny_vlae()
    model.save_weights(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(OSError, match="truncated"):
        model.load_weights(path)


ON_JAX = """
import json, pathlib, sys
sys.modules["tensorflow"] = None
import keras, numpy, vlae_tf

folder = pathlib.Path(sys.argv[1])
model = keras.saving.load_model(folder / "model.keras")
compiled_with = type(model.optimizer).__name__
model.load_weights(folder / "model.weights.h5")
images = numpy.load(folder / "images.npy")
posterior = model.posterior(images)
code = model.encode(images)
numpy.savez(
    folder / "jax.npz",
    code=code,
    scale=posterior.stddev(),
    log_posterior=posterior.log_prob(code),
    log_prior=model.prior().log_prob(code),
    log_likelihood=model.likelihood(code).log_prob(images),
)
model.compile(optimizer=keras.optimizers.Adamax(0.01))
loss = model.fit(images, epochs=3, batch_size=10, verbose=0).history["loss"]
moved = bool((model.encode(images) != code).any())
print(json.dumps({"optimizer": compiled_with, "loss": loss, "moved": moved}))
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs both backends")
def test_a_fresh_process_on_jax_has_the_same_densities_and_trains(tiny_vlae, images, tmp_path):
    """Loaded without custom objects, its optimiser too."""
    pytest.importorskip("jax")
    model = tiny_vlae()
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(scale=0.2, size=weight.shape))
    model.compile(averaged(keras.optimizers.Adam)(1e-3))
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    np.save(tmp_path / "images.npy", images)
    found = run_json(ON_JAX, tmp_path, KERAS_BACKEND="jax")
    assert found["optimizer"] == "AveragedAdam" and found["moved"]
    assert found["loss"][-1] < found["loss"][0]
    code, posterior = model.encode(images), model.posterior(images)
    expected = {
        "code": code,
        "scale": posterior.stddev(),
        "log_posterior": posterior.log_prob(code),
        "log_prior": model.prior().log_prob(code),
        "log_likelihood": model.likelihood(code).log_prob(images),
    }
    with np.load(tmp_path / "jax.npz") as found:
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(found["code"], code, rtol=1e-4, atol=1e-6)

"""Every system in float64: the same model, its rounding errors a hundred million times smaller."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.coding.models import SYSTEMS as FILES
from tests.gradients import randomise
from tests.systems import PARTS, SHAPE, SIZE, make_system
from tests.tiny import all_images, numpy_of
from vlae_tf.backend import double_precision
from vlae_tf.evaluation import mutual_information
from vlae_tf.models import VLAE
from vlae_tf.models.folder import model_config
from vlae_tf.networks import MLPDecoder, MLPEncoder
from vlae_tf.objectives import log_weights
from vlae_tf.runs import load_run
from vlae_tf.saved_model import export


def in_double(model, folder):
    """The model, written and loaded as float64."""
    (folder / "config.json").write_text(model_config(model))
    model.save_weights(folder / "model.weights.h5")
    return load_run(folder, "float64")


@pytest.mark.jax
@pytest.mark.parametrize("name", [name for name in PARTS if "outside" not in name])
def test_log_weights_are_those_of_float32_and_rows_agree(name, tmp_path, eager):
    model = make_system(name)
    images = all_images(SHAPE)[::7]
    noise = np.random.default_rng(0).standard_normal((2, len(images), model.latent_dim))
    single = numpy_of(log_weights(model, images.astype("float32"), noise.astype("float32")).log_w)
    with double_precision():
        double = in_double(model, tmp_path)
        assert {layer.compute_dtype for layer in double._flatten_layers()} == {"float64"}
        noise = ops.convert_to_tensor(noise)
        log_w = log_weights(double, images, noise).log_w
        assert keras.backend.standardize_dtype(log_w.dtype) == "float64"
        np.testing.assert_allclose(single, numpy_of(log_w), rtol=1e-4, atol=1e-4)
        alone = [
            numpy_of(log_weights(double, images[[row]], noise[:, row : row + 1]).log_w)
            for row in range(len(images))
        ]
        np.testing.assert_allclose(np.concatenate(alone, axis=1), log_w, rtol=0, atol=1e-12)


def outputs(model, weights):
    """What the networks say of codes and images, with these weights."""
    model.set_weights(weights)
    rng = np.random.default_rng(0)
    code = ops.convert_to_tensor(rng.normal(size=(5, model.latent_dim)))
    images = rng.integers(model.levels, size=(5, *model.image_shape)).astype("float64")
    images = ops.convert_to_tensor(images)
    posterior = model.posterior(images)
    found = [
        posterior.center(),
        posterior.spread(),
        model.prior().log_prob(code),
        model.likelihood_family(model.decoder(code), images),
    ]
    return [numpy_of(array) for array in found]


@pytest.mark.jax
@pytest.mark.parametrize(
    "make",
    [
        *(pytest.param(make, id=f"files: {name}") for name, make in FILES.items()),
        *(
            pytest.param(lambda name=name: make_system(name), id=name)
            for name in PARTS
            if "outside" not in name and "control" not in name
        ),
    ],
)
def test_nothing_is_rounded_to_float32_on_the_way(make, tmp_path, eager):
    # Weights so near one another are on a straight line, and so is what they make; float32 would
    # make steps of 1e-8 and more.
    with double_precision():
        model = in_double(randomise(make(), 0.3), tmp_path)
        weights = model.get_weights()

        def after(steps):
            scale = 1 + 1e-7 * steps
            return outputs(model, [w * scale if w.dtype == "float64" else w for w in weights])

        first, middle, last = after(0), after(1), after(2)
    for a, b, c in zip(first, middle, last, strict=True):
        assert np.isfinite(b).all()
        np.testing.assert_allclose(a + c, 2 * b, rtol=1e-11, atol=1e-10)


@pytest.mark.jax
def test_float64_draws_images_and_measures(tmp_path, eager):
    with double_precision():
        model = in_double(make_system("VLAE"), tmp_path)
        images = model.sample(3, seed=0)
        assert images.shape == (3, *SHAPE) and set(np.unique(images)) <= {0.0, 1.0}
        assert model.encode(images).shape == (3, SIZE)
        assert np.isfinite(model.log_likelihood(images, importance_samples=2)).all()


@pytest.mark.jax
def test_float64_is_neither_trained_nor_exported(tmp_path, eager):
    """The error came from the depths of an operation."""
    with double_precision():
        model = in_double(make_system("VLAE"), tmp_path)
        images = np.zeros((2, *SHAPE), "uint8")
        with pytest.raises(ValueError, match="`model` must be of float32 .* to be trained"):
            model.compile(optimizer="adam")
        assert np.isfinite(mutual_information(model, images)["nats"])
        if keras.backend.backend() == "tensorflow":
            with pytest.raises(ValueError, match="`model` must be .* to be exported"):
                export(model, tmp_path / "served")


@pytest.mark.jax
@pytest.mark.parametrize("policy", ["float16", "bfloat16", "float64"])
def test_policies_without_float32_weights_are_refused(policy):
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(policy)
        networks = MLPEncoder([4]), MLPDecoder(SHAPE, units=[4])
        with pytest.raises(ValueError, match="must (be float32|have the model's precision)"):
            VLAE(SHAPE, 2, *networks)
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.jax
def test_keras_must_compute_in_float32_by_default():
    try:
        keras.config.set_floatx("float16")
        with pytest.raises(ValueError, match="`floatx` must be float32.*'float16'"):
            make_system("VLAE")
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow always has float64")
@pytest.mark.jax
def test_float64_must_be_allowed_on_jax(tmp_path):
    with pytest.raises(ValueError, match="JAX_ENABLE_X64=1.*Received: dtype='float64'"):
        in_double(make_system("VLAE"), tmp_path)

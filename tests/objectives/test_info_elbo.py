"""The criterion of InfoVAE: its MMD against every pair written out, and its known cases."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import gradient
from tests.tiny import numpy_of, tiny_model
from vlae_tf.objectives import ELBO, InfoELBO
from vlae_tf.objectives.info_elbo import squared_mmd

pytestmark = pytest.mark.jax
RANDOM = np.random.default_rng(0)
CODES = RANDOM.normal(size=(6, 3)).astype("float32")
DRAWS = RANDOM.normal(1.0, 2.0, size=(6, 3)).astype("float32")
IMAGES = RANDOM.integers(2, size=(5, 2, 3, 1)).astype("float32")


def direct(codes, draws, kernel, scales):
    """The unbiased estimate, one pair after another in float64."""

    def k(a, b):
        distance = np.sum((np.float64(a) - np.float64(b)) ** 2)
        widths = [2 * len(a) * scale**2 for scale in scales]
        of_scale = {
            "rbf": lambda width: np.exp(-distance / width),
            "imq": lambda width: width / (width + distance),
        }[kernel]
        return np.mean([of_scale(width) for width in widths])

    pairs = [(i, j) for i in range(len(codes)) for j in range(len(codes)) if i != j]
    return np.mean([
        k(codes[i], codes[j]) + k(draws[i], draws[j]) - 2 * k(codes[i], draws[j]) for i, j in pairs
    ])  # fmt: skip


@pytest.mark.parametrize("kernel", ["rbf", "imq"])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_mmd_is_that_of_every_pair(kernel, shift):
    found = squared_mmd(
        ops.convert_to_tensor(CODES + np.float32(shift)),
        ops.convert_to_tensor(DRAWS + np.float32(shift)),
        kernel,
        [0.5, 2.0],
    )
    expected = direct(CODES, DRAWS, kernel, [0.5, 2.0])
    np.testing.assert_allclose(float(found), expected, atol=2e-5)


def test_mmd_of_the_same_distribution_is_zero_in_the_mean_and_of_others_above():
    sets = np.random.default_rng(1).normal(size=(2, 400, 20, 2)).astype("float32")
    codes, draws = (ops.convert_to_tensor(x) for x in sets)
    alone = [float(squared_mmd(codes[i], draws[i])) for i in range(100)]
    error = np.std(alone) / 10
    assert abs(np.mean(alone)) < 4 * error < 0.02
    assert np.isclose(float(squared_mmd(codes[:100], draws[:100])), np.mean(alone), atol=1e-5)
    assert float(squared_mmd(codes * 0.5, draws)) > 10 * error / 2


@pytest.mark.parametrize("alpha, weight", [(0.0, 0.0), (0.9, 0.0), (1.0, 0.0), (1.0, 500.0)])
def test_known_cases(alpha, weight):
    model = tiny_model((2, 3, 1), 2, objective=InfoELBO(alpha, weight))
    terms = model.objective(IMAGES, model=model, training=True)
    mean = {name: float(ops.mean(value)) for name, value in terms.items()}
    expected = (1 - alpha) * mean["kl"] - mean["reconstruction"] + weight * mean["mmd"]
    np.testing.assert_allclose(mean["loss"], expected, rtol=1e-5)
    evaluated = model.objective(IMAGES, model=model)
    np.testing.assert_allclose(
        float(evaluated["loss"]), -numpy_of(evaluated["elbo"]).mean(), rtol=1e-6
    )


def test_alpha_and_weight_of_0_are_the_elbo():
    found = []
    for objective in (ELBO(seed=3), InfoELBO(0.0, 0.0, seed=3)):
        keras.utils.set_random_seed(0)
        model = tiny_model((2, 3, 1), 2, objective=objective)
        found.append(float(model.objective(IMAGES, model=model, training=True)["loss"]))
    assert found[0] == found[1]


def test_mmd_pulls_the_codes_to_the_prior():
    draws = ops.convert_to_tensor(DRAWS)
    slope = gradient(lambda codes: squared_mmd(codes, draws), np.float32(CODES + 3.0))
    # A step against the gradient moves the codes' mean towards that of the draws.
    toward = np.sum(-slope, axis=0) * (DRAWS.mean(axis=0) - CODES.mean(axis=0) - 3.0)
    assert (toward > 0).all()


def test_one_image_has_no_pairs_and_a_finite_loss():
    model = tiny_model((2, 3, 1), 2, objective=InfoELBO())
    terms = model.objective(IMAGES[:1], model=model, training=True)
    assert all(np.isfinite(numpy_of(value)).all() for value in terms.values())
    assert float(terms["mmd"]) == 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"alpha": 1.5}, "`alpha` must be a finite number"),
        ({"weight": -1.0}, "`weight` must be a finite number"),
        ({"kernel": "linear"}, "`kernel` must be one of"),
        ({"scales": []}, "`scales` must be a list of one or more numbers"),
        ({"scales": [1.0, 0.0]}, "`scales` must be a list of one or more numbers"),
    ],
)
def test_invalid_options(options, message):
    with pytest.raises(ValueError, match=message):
        InfoELBO(**options)

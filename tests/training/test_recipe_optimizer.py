"""The optimiser of a recipe: its learning rates, and that it trains as the one built by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.tiny import random_images, tiny_recipe
from vlae_tf.backend import compiled
from vlae_tf.runs import Recipe
from vlae_tf.training import averaged, recipe_optimizer

pytestmark = pytest.mark.jax


def part(class_name, **config):
    return {"class_name": class_name, "config": config}


def recipe(rate=0.5, **fields):
    optimizer = part("Adamax", learning_rate=rate)
    return tiny_recipe("digits.npz", **{"epochs": 4, "optimizer": optimizer} | fields)


def schedule_of(optimizer):
    return optimizer._learning_rate


def test_learning_rate_rises_and_falls_to_zero():
    schedule = part("CosineDecay", warmup_steps=20)
    optimizer = recipe_optimizer(recipe(schedule=schedule), steps_per_epoch=100)
    assert float(optimizer.learning_rate) == 0.0
    # Compiled once: on JAX, each call would compile its condition anew.
    rate = compiled(keras.Layer(), schedule_of(optimizer))
    rates = np.array([float(rate(np.array(step))) for step in range(401)])
    np.testing.assert_allclose(rates[:21], 0.5 * np.arange(21) / 20, rtol=1e-5)
    assert (np.diff(rates[20:]) < 0).all()
    assert rates[-1] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("steps_per_epoch", [1, 10])
def test_warmup_is_at_most_a_tenth_of_a_short_run(steps_per_epoch):
    schedule = schedule_of(recipe_optimizer(recipe(), steps_per_epoch))
    assert float(schedule(4 * steps_per_epoch // 10)) == pytest.approx(0.5)


@pytest.mark.parametrize("rate", [None, 0.25])
def test_without_a_schedule_the_rate_is_constant(rate):
    adam = part("Adam") if rate is None else part("Adam", learning_rate=rate)
    optimizer = recipe_optimizer(recipe(optimizer=adam, schedule=None), 10)
    assert isinstance(optimizer, averaged(keras.optimizers.Adam))
    assert float(optimizer.learning_rate) == pytest.approx(0.001 if rate is None else rate)


def test_other_schedules_end_with_the_run():
    linear = recipe(schedule=part("PolynomialDecay", end_learning_rate=0.0))
    schedule = schedule_of(recipe_optimizer(linear, 10))
    rates = [float(schedule(step)) for step in (0, 10, 20, 40)]
    np.testing.assert_allclose(rates, [0.5, 0.375, 0.25, 0.0], atol=1e-6)
    own = recipe(schedule=part("PolynomialDecay", end_learning_rate=0.0, decay_steps=20))
    assert float(schedule_of(recipe_optimizer(own, 10))(20)) == 0.0


def test_clipping_and_averages():
    clipped = part("Adamax", learning_rate=0.1, global_clipnorm=2, ema_momentum=0.9)
    optimizer = recipe_optimizer(recipe(optimizer=clipped), 10)
    assert (optimizer.global_clipnorm, optimizer.use_ema, optimizer.ema_momentum) == (2, True, 0.9)
    assert recipe_optimizer(recipe(), 10).ema_momentum == 0.9995
    plain = recipe(optimizer=part("SGD", learning_rate=0.1, use_ema=False))
    assert not recipe_optimizer(plain, 10).use_ema


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": part("Adam", ema_overwrite_frequency=-1)}, "`optimizer` cannot be built"),
        ({"schedule": part("PiecewiseConstantDecay")}, "`schedule` cannot be built"),
    ],
)
def test_arguments_that_do_not_fit(fields, message):
    with pytest.raises(ValueError, match=message):
        recipe_optimizer(recipe(**fields), 10)


def test_default_is_adamax_with_a_warmed_up_cosine():
    """A recipe of version 0.1, migrated, trains to the same weights, bit for bit."""
    plain = Recipe("digits.npz", {"latent_dim": 2}, epochs=5)
    cosine = keras.optimizers.schedules.CosineDecay
    by_hand = averaged(keras.optimizers.Adamax)(
        cosine(0.0, 5 * 4 - 2, warmup_target=2e-3, warmup_steps=2),
        global_clipnorm=5.0,
        ema_momentum=0.9995,
    )
    images, weights = random_images(8).astype("float32"), []
    for optimizer in (recipe_optimizer(plain, steps_per_epoch=4), by_hand):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
        model.compile(optimizer, loss="mse")
        model.fit(images, np.ones((8, 3)), batch_size=2, epochs=2, shuffle=False, verbose=0)
        weights.append([ops.convert_to_numpy(v) for v in model.weights + optimizer.variables])
    for weight, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(weight, other)

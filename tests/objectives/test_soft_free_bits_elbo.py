"""The controller of the KL's weight against the same rules in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from vlae_tf.distributions import FactorisedBernoulli
from vlae_tf.objectives import SoftFreeBitsELBO

pytestmark = pytest.mark.jax

RECONSTRUCTION = -np.log(2)


class KnownKL:
    """A model of which every image has this KL."""

    latent_dim = 1

    def __init__(self, kl):
        self.kl = kl

    def posterior(self, images, training=False):
        return self

    def from_noise_and_log_prob(self, noise):
        return noise, ops.full(noise.shape[:-1], self.kl)

    def prior(self):
        return self

    def log_prob(self, code):
        return ops.zeros(code.shape[:-1])

    def likelihood(self, code, training=False):
        return FactorisedBernoulli(ops.zeros((3, 1, 1, 1)))


def step(objective, kl, training=True):
    images = np.zeros((3, 1, 1, 1), "float32")
    return float(objective(images, model=KnownKL(kl), training=training)["loss"])


def test_weight_follows_the_papers_rules():
    kls = [1.0, 3.9, 4.0, 4.1, 4.2, 4.3, 30.0, 5.0, 5.0, 5.0, 5.0, 5.0, 3.0, float("nan"), 4.5]
    objective = SoftFreeBitsELBO(free_bits=4.0, initial_weight=0.8)
    gamma = 0.8
    for kl in kls:
        loss = step(objective, kl)
        np.testing.assert_allclose(loss, gamma * kl - RECONSTRUCTION, rtol=1e-5)
        if kl > 1.05 * 4.0:
            gamma = min(1.1 * gamma, 1.0)
        elif kl < 4.0:
            gamma = 0.9 * gamma
        np.testing.assert_allclose(float(objective.gamma), gamma, rtol=1e-5)


def test_weight_never_leaves_the_interval_from_0_to_1():
    objective = SoftFreeBitsELBO(free_bits=4.0, rate=0.9)
    for _ in range(50):
        step(objective, 1.0)
    lowest = float(objective.gamma)
    assert 0 < lowest < 1e-5
    step(objective, 9.0)
    assert float(objective.gamma) > lowest
    for _ in range(50):
        step(objective, 9.0)
    assert float(objective.gamma) == 1.0


def test_tolerance_and_rate_are_arguments():
    objective = SoftFreeBitsELBO(free_bits=4.0, tolerance=0.3, rate=0.5, initial_weight=0.5)
    step(objective, 5.0)
    assert float(objective.gamma) == 0.5
    step(objective, 5.3)
    assert float(objective.gamma) == 0.75


def test_outside_training_the_loss_is_minus_the_elbo_and_the_weight_stays():
    objective = SoftFreeBitsELBO(free_bits=4.0, initial_weight=0.5)
    np.testing.assert_allclose(step(objective, 1.0, training=False), 1 - RECONSTRUCTION, rtol=1e-6)
    assert float(objective.gamma) == 0.5


def test_weight_is_saved_but_not_trained():
    objective, copy = (SoftFreeBitsELBO(free_bits=4.0) for _ in range(2))
    step(objective, 1.0)
    copy.set_weights(objective.get_weights())
    assert float(copy.gamma) == float(objective.gamma) != 1.0
    assert not objective.trainable_variables


@pytest.mark.parametrize(
    "wrong",
    [{"tolerance": -0.1}, {"rate": 0.0}, {"rate": 1.0}, {"initial_weight": 0.0}]
    + [{"initial_weight": 1.5}, {"free_bits": -1.0}],
    ids=str,
)
def test_invalid_settings_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}={value!r}"):
        SoftFreeBitsELBO(**{"free_bits": 1.0, **wrong})


def test_config_holds_every_argument():
    settings = {"free_bits": 2.0, "tolerance": 0.1, "rate": 0.2, "initial_weight": 0.3, "seed": 4}
    objective = SoftFreeBitsELBO(**settings)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(objective))
    for name, value in settings.items():
        assert getattr(copy, name) == value == objective.get_config()[name]

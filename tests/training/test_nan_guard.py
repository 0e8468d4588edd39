"""The guard names what went wrong first, and when."""

import types

import keras
import numpy as np
import pytest
from keras import ops

from vlae_tf.training import NaNGuard

pytestmark = pytest.mark.jax


class TwoTerms(keras.Model):
    """Its terms are the means of the two columns of the input, each times a weight."""

    def __init__(self, *names):
        super().__init__()
        terms = {"elbo": "nats", names[0]: "nats", names[1]: ""}
        self.objective = types.SimpleNamespace(terms=terms)
        self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")
        self.other = self.add_weight(shape=(), initializer="zeros", name="other")
        self.trackers = [keras.metrics.Mean(name=name) for name in names]
        self.built = True

    def call(self, x):
        return x

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        terms = ops.mean(x[:, :2], axis=0) * self.scale
        for index, tracker in enumerate(self.trackers):
            tracker.update_state(terms[index])
        # Zero, as the weight is, but its gradient overflows when the third column is large.
        steep = self.other * ops.max(x[:, 2]) * ops.max(x[:, 2])
        return ops.sum(terms) + steep


def fit(bad=None, value=np.nan, rows=5, terms=("reconstruction", "kl"), **kwargs):
    """Epochs of 5 steps, of which the third is bad in one column."""
    x = np.zeros((rows, 3), "float32")
    if bad is not None:
        x[2, bad] = value
    model = TwoTerms(*terms)
    model.compile("sgd")
    model.fit(x, batch_size=1, epochs=3, verbose=0, shuffle=False, callbacks=[NaNGuard(**kwargs)])
    return model


def test_good_training_is_left_alone():
    assert np.isfinite(fit().get_weights()[0]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("column", "term"), [(0, "reconstruction"), (1, "kl")])
def test_bad_term_is_named_with_its_step(column, term, value):
    with pytest.raises(FloatingPointError, match=f"at step 3 .epoch 1.: {term} is {value} [^,]*,"):
        fit(column, value)


def test_any_term_that_the_objective_declares_is_looked_at():
    with pytest.raises(FloatingPointError, match="3 .*: mmd is nan .a term of the objective.[.]"):
        fit(1, terms=("reconstruction", "mmd"))
    with pytest.raises(FloatingPointError, match="kl_1 is nan .a term of the objective, nats.[.]"):
        fit(0, terms=("kl_1", "mmd"))


def test_bad_gradient_is_told_from_a_bad_loss_and_its_weights_are_named():
    with pytest.raises(FloatingPointError, match="step 3 .*loss is finite but its grad.* in "):
        fit(2, 1e30)


def test_weights_are_looked_at_as_often_as_asked():
    # By then the loss tells as well, and the message leaves open which it was.
    with pytest.raises(FloatingPointError, match="at step 4 .*loss is nan.*gradient was so in"):
        fit(2, 1e30, every=4)


def test_weights_are_looked_at_before_an_epoch_ends():
    # The third step is the last one, so no loss is left to tell.
    with pytest.raises(FloatingPointError, match="at step 3 .epoch 1.: the loss is finite but"):
        fit(2, 1e30, rows=3, every=100)


def test_wrong_every():
    with pytest.raises(ValueError, match="`every` must be an integer, at least 1. Rec.*every=0"):
        NaNGuard(every=0)

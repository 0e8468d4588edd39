"""The ladder's ELBO: rungs that come in one after the other, and the plain ELBO in the end."""

import numpy as np
import pytest

from tests.gradients import randomise
from tests.outside import MyFullGaussianPosterior
from tests.systems import ladder
from tests.tiny import numpy_of, tiny_model
from vlae_tf.objectives import ELBO, LadderELBO

pytestmark = pytest.mark.jax
IMAGES = (np.random.default_rng(0).random((6, 2, 3, 1)) < 0.5).astype("float32")


def model_of(objective):
    return randomise(tiny_model((2, 3, 1), 2, **ladder(objective=objective)))


def terms_of(objective, training=True):
    model = model_of(objective)
    found = model.objective(IMAGES, model=model, training=training)
    return {name: numpy_of(value) for name, value in found.items()}


def test_with_all_rungs_in_it_is_the_elbo_of_the_same_codes():
    for training in (False, True):
        mine, plain = (terms_of(o, training) for o in (LadderELBO([1, 1]), ELBO()))
        for name, value in plain.items():
            np.testing.assert_allclose(mine[name], value, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(mine["kl_1"] + mine["kl_2"], mine["kl"], rtol=1e-5)


def test_rungs_come_in_from_the_top_down():
    objective = LadderELBO([1, 1, 1], steps_a_rung=4, fade_steps=2)
    seen = []
    for step in range(14):
        objective.step.assign(step)
        seen.append(objective.rung_weights().tolist())
    lowest, middle, top = np.array(seen).T
    np.testing.assert_array_equal(top, 1)
    np.testing.assert_allclose(middle, [0] * 4 + [0.5] + [1] * 9)
    np.testing.assert_allclose(lowest, [0] * 10 + [0.5] + [1] * 3)


def test_a_rung_that_is_out_costs_nothing_and_is_not_decoded():
    out = LadderELBO([1, 1], steps_a_rung=5)
    model = model_of(out)
    before = numpy_of(model.objective(IMAGES, model=model, training=True)["loss"])
    assert int(out.step) == 1
    # The posterior and the decoder's layer of the rung below change nothing.
    model = model_of(LadderELBO([1, 1], steps_a_rung=5))
    head = model.posterior_family._heads[0]
    head.set_weights([value + 1 for value in head.get_weights()])
    changed = numpy_of(model.objective(IMAGES, model=model, training=True)["loss"])
    assert before == pytest.approx(changed, rel=1e-6)
    # Outside training all rungs are in.
    found = {k: numpy_of(v) for k, v in model.objective(IMAGES, model=model).items()}
    np.testing.assert_allclose(found["loss"], -found["elbo"].mean(), rtol=1e-5)
    assert int(model.objective.step) == 1


def test_what_does_not_fit_is_refused_when_the_model_is_built():
    with pytest.raises(ValueError, match=r"`rungs` must be sizes that add up to the 2 numbers"):
        tiny_model((2, 3, 1), 2, objective=LadderELBO([1, 2]))
    with pytest.raises(ValueError, match="LadderELBO needs .* which has no `log_prob_terms`"):
        parts = ladder(objective=LadderELBO([1, 1]))
        tiny_model((2, 3, 1), 2, **parts | {"posterior_family": MyFullGaussianPosterior(2)})

"""The priors one by one, beside what tests/test_every_part.py asks of all."""

import numpy as np
import pytest
from keras import ops

from tests.gradients import randomise
from tests.tiny import numpy_of
from vlae_tf.backend import tfd
from vlae_tf.posteriors import IAFPosterior
from vlae_tf.priors import FlowPrior, SpatialFlowPrior


@pytest.mark.jax
def test_flow_prior_of_no_steps_is_the_standard_normal():
    family = FlowPrior(3, steps=0)
    code = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    expected = tfd.MultivariateNormalDiag(ops.zeros(3), ops.ones(3)).log_prob(code)
    np.testing.assert_allclose(numpy_of(family(code)), numpy_of(expected), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(numpy_of(family.distribution().from_noise(code)), code)


@pytest.mark.jax
@pytest.mark.parametrize("steps", [-1, 2.5, None])
@pytest.mark.parametrize(
    ("family", "size"), [(FlowPrior, 3), (SpatialFlowPrior, (2, 2, 1)), (IAFPosterior, 3)]
)
def test_an_impossible_number_of_flow_steps_is_refused(family, size, steps):
    with pytest.raises(ValueError, match="`steps` must be an integer.* Received: steps="):
        family(size, steps=steps)


@pytest.mark.jax
def test_flow_prior_is_a_density_unlike_the_standard_normal():
    family = randomise(FlowPrior(1, steps=2, hidden_units=[8], mean_only=False), 0.3)
    grid = np.linspace(-30, 30, 20001, dtype="float32")[:, None]
    log_prob = numpy_of(family(grid))
    np.testing.assert_allclose(np.exp(log_prob).sum() * (grid[1, 0] - grid[0, 0]), 1, atol=1e-3)
    assert abs(log_prob - numpy_of(FlowPrior(1, steps=0)(grid))).max() > 0.1

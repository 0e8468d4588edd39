"""One normal number as a component and a normal number, at the ends too."""

import numpy as np
import pytest
from keras import ops
from scipy.stats import kstest

from tests.tiny import numpy_of
from vlae_tf.distributions import choose_component

pytestmark = pytest.mark.jax


def test_components_have_their_weights_and_the_rest_is_normal():
    noise = np.random.default_rng(0).normal(size=20_000).astype("float32")
    logits = np.log(np.array([0.2, 0.5, 0.3], "float32"))
    one_hot, rest = (numpy_of(v) for v in choose_component(logits, ops.convert_to_tensor(noise)))
    np.testing.assert_allclose(one_hot.mean(0), [0.2, 0.5, 0.3], atol=0.015)
    for component in range(3):
        assert kstest(rest[one_hot[:, component] == 1], "norm").pvalue > 1e-3


@pytest.mark.parametrize("logits", [[0.0, -200.0], [-200.0, 0.0], [0.0, -200.0, -200.0]])
def test_a_component_without_weight_is_never_chosen(logits):
    noise = np.array([-40.0, -6.0, 0.0, 5.3, 6.0, 40.0], "float32")
    one_hot, rest = (
        numpy_of(v) for v in choose_component(np.array(logits, "float32"), np.array(noise))
    )
    assert (one_hot.argmax(-1) == np.argmax(logits)).all() and (one_hot.sum(-1) == 1).all()
    assert np.isfinite(rest).all()

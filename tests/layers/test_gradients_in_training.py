"""What keeps less for the gradient in training: activations, gates and dropout."""

import numpy as np
import pytest
from keras import ops

from tests.gradients import gradient
from vlae_tf.layers.activations import elu, gate
from vlae_tf.layers.dropout import Dropout

pytestmark = pytest.mark.jax

X = np.random.default_rng(0).normal(0, 3, (2, 3, 4, 12)).astype("float32")
WEIGHTS = np.random.default_rng(1).normal(size=X.shape).astype("float32")
FUNCTIONS = {
    "elu": elu,
    "gate": gate,
    "gate of three groups": lambda x, **options: gate(x, groups=3, **options),
    "bounded gate": lambda x, **options: gate(x, bounded=True, **options),
    "bounded gate of three groups": lambda x, **options: gate(x, 3, True, **options),
}


@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-6), ("bfloat16", 0.03)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_and_gradient_are_those_outside_training(name, dtype, error):
    values, gradients = [], []
    for training in (False, True):

        def weighed(x, training=training):
            y = FUNCTIONS[name](ops.cast(x, dtype), training=training)
            return ops.sum(ops.cast(y, "float32") * WEIGHTS[..., : y.shape[-1]])

        values.append(ops.convert_to_numpy(weighed(ops.convert_to_tensor(X))))
        gradients.append(gradient(weighed, X))
    np.testing.assert_array_equal(*values)
    np.testing.assert_allclose(*gradients, atol=error, rtol=error)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dropout_drops_the_same_numbers_of_the_gradient(dtype):
    def dropped(x):
        return ops.cast(Dropout(0.3, seed=4, dtype=dtype)(x, training=True), "float32")

    ones = np.ones_like(X)
    values = ops.convert_to_numpy(dropped(ops.convert_to_tensor(ones)))
    assert 0.2 < np.mean(values == 0) < 0.4
    np.testing.assert_array_equal(gradient(lambda x: ops.sum(dropped(x)), ones), values)

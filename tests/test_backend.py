"""Functions that see the current weights, loops, and the backends that there are."""

import runpy

import keras
import numpy as np
import pytest
from keras import ops

from vlae_tf import backend
from vlae_tf.backend import compiled, scan

pytestmark = pytest.mark.jax


def test_compiled_function_sees_weights_assigned_later():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    function = compiled(model, lambda inputs: model(inputs))
    inputs = np.ones((3, 2), "float32")
    np.testing.assert_allclose(function(inputs), np.full((3, 1), 2))
    model.layers[0].kernel.assign([[3.0], [4.0]])
    np.testing.assert_allclose(function(inputs), np.full((3, 1), 7))


def test_scan_hands_on_the_carry_and_stacks_the_outputs():
    def step(carry, inputs):
        count, total = carry
        total = total + inputs[0]
        return (count + 1, total), ops.stack([total, 10.0 * total])

    numbers = np.arange(1.0, 5.0, dtype="float32")
    (count, total), outputs = scan(step, (0, ops.zeros(())), [numbers])
    assert int(count) == 4 and float(total) == 10
    sums = np.cumsum(numbers)
    np.testing.assert_array_equal(outputs, np.stack([sums, 10 * sums], axis=-1))


def test_another_backend_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ImportError, match="'tensorflow' or 'jax'.*KERAS_BACKEND='torch'"):
        runpy.run_path(backend.__file__)


@pytest.mark.skipif(backend.BACKEND != "tensorflow", reason="JAX compiles for a shape")
def test_any_number_of_rows_is_traced_once():
    traced = []

    def total(rows):
        traced.append(rows.shape)
        return ops.sum(rows, axis=-1)

    run = compiled(keras.Layer(), total, any_rows=True)
    for count in (1, 5, 2):
        np.testing.assert_array_equal(run(np.ones((count, 3), "float32")), np.full(count, 3.0))
    assert [tuple(shape) for shape in traced] == [(None, 3)]

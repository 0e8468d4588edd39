#!/usr/bin/env bash
# Keras 3.15.1, keras.remat within keras.ops.map, on TensorFlow 2.21.0 and on JAX 0.10.2.
#
# A natural guess: rows of a batch that are mapped over one after the other, each recomputed in the
# backward pass, are the way to bound the memory of a step. Both functions are Keras' own.
# Behaviour on TensorFlow: the eager gradient is right; the same function within tf.function, which
# is how fit runs, raises a ValueError when the gradient is taken. tf.recompute_grad reads the
# layer's variables, and within the loop that ops.map makes those are captured from outside, which
# the gradient of the loop cannot hand out. A layer without variables works, and so does JAX.
# Hurt: whoever computes many samples of each image in parts (importance-weighted bounds) with
# Keras' own functions. One must write the loop of the backward pass oneself on TensorFlow.
# Seen: "tensorflow: eager 120, tf.function ValueError" and "jax: jit 120".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 tensorflow==2.21.0 jax==0.10.2
cat > "$folder/tf_program.py" << 'PYTHON'
import keras
import numpy as np
import tensorflow as tf

layer = keras.layers.Dense(3)
layer.build((None, 2))
rows = np.ones((4, 5, 2), "float32")
kernel = layer.trainable_weights[0].value


def slope(function):
    with tf.GradientTape() as tape:
        value = keras.ops.sum(keras.ops.map(function, rows))
    return tf.reduce_sum(tape.gradient(value, kernel))


# 4 parts of 5 rows of ones, 2 x 3 weights.
expected = 4 * 5 * 2 * 3
assert float(slope(layer)) == float(tf.function(lambda: slope(layer))()) == expected
eager = float(slope(keras.remat(layer)))
try:
    tf.function(lambda: slope(keras.remat(layer)))()
    compiled = "no error"
except ValueError as error:
    assert "captures" in str(error), error
    compiled = "ValueError"
print(f"tensorflow: eager {eager:.0f}, tf.function {compiled}")
assert eager == expected and compiled == "ValueError"
PYTHON
cat > "$folder/jax_program.py" << 'PYTHON'
import jax
import keras
import numpy as np

layer = keras.layers.Dense(3)
layer.build((None, 2))
rows = np.ones((4, 5, 2), "float32")
kernel, bias = layer.trainable_variables


def total(values):
    with keras.StatelessScope(zip((kernel, bias), values)):
        return keras.ops.sum(keras.ops.map(keras.remat(layer), rows))


slope = jax.jit(jax.grad(total))([kernel.value, bias.value])[0].sum()
print(f"jax: jit {float(slope):.0f}")
assert slope == 120
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=tensorflow "$folder/venv/bin/python" "$folder/tf_program.py" 2> /dev/null
KERAS_BACKEND=jax "$folder/venv/bin/python" "$folder/jax_program.py" 2> /dev/null

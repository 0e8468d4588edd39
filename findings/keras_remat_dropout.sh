#!/usr/bin/env bash
# Keras 3.15.1, keras.remat and keras.RematScope (recompute in place of keeping activations) around
# a Dropout layer, on TensorFlow 2.21.0 and on JAX 0.10.2.
#
# A natural guess: rematerialisation changes memory and time, never the gradient. What is computed
# again in the backward pass is what was computed before.
# Behaviour on TensorFlow: the layer's SeedGenerator moves on when its call is run again, so the
# backward pass has another mask than the forward pass. The gradient is that of other units than
# those that made the loss: the two masks agree no more often than by chance, eager and as a graph.
# JAX traces the call once and replays it with the same state: the masks are the same.
# Hurt: whoever saves memory with RematScope in a network with dropout (or with any layer that draws
# noise) on TensorFlow. Training runs, its gradients are wrong, and nothing says so.
# Seen: "same mask forwards and backwards: tensorflow, plain 1.000, remat 0.498, RematScope 0.505"
# and "jax, plain 1.000, remat 1.000".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 tensorflow==2.21.0 jax==0.10.2
cat > "$folder/tf_program.py" << 'PYTHON'
import keras
import numpy as np
import tensorflow as tf

inputs = tf.ones((1, 1000))


def agreement(function):
    """Share of the units that the gradient sees as the value did. All inputs are 1."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(inputs)
    gradient = tape.gradient(outputs, inputs)
    return float(np.mean((outputs.numpy() > 0) == (gradient.numpy() > 0)))


dropout = keras.layers.Dropout(0.5, seed=1)
plain = agreement(lambda x: dropout(x, training=True))
remat = agreement(keras.remat(lambda x: dropout(x, training=True)))
with keras.RematScope(mode="full"):
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dropout(0.5)])
scope = agreement(lambda x: model(x, training=True))
print(
    "same mask forwards and backwards: "
    f"tensorflow, plain {plain:.3f}, remat {remat:.3f}, RematScope {scope:.3f}"
)
assert plain == 1 and abs(remat - 0.5) < 0.1 and abs(scope - 0.5) < 0.1
PYTHON
cat > "$folder/jax_program.py" << 'PYTHON'
import jax
import jax.numpy as jnp
import keras
import numpy as np

dropout = keras.layers.Dropout(0.5, seed=1)
state = dropout.seed_generator.state


def agreement(function):
    def total(x, value):
        with keras.StatelessScope([(state, value)]):
            outputs = function(x)
        return outputs.sum(), outputs

    (_, outputs), gradient = jax.value_and_grad(total, has_aux=True)(jnp.ones(1000), state.value)
    return float(np.mean((np.array(outputs) > 0) == (np.array(gradient) > 0)))


plain = agreement(lambda x: dropout(x, training=True))
remat = agreement(keras.remat(lambda x: dropout(x, training=True)))
print(f"jax, plain {plain:.3f}, remat {remat:.3f}")
assert plain == remat == 1
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/tf_program.py" 2> /dev/null
KERAS_BACKEND=jax "$folder/venv/bin/python" "$folder/jax_program.py" 2> /dev/null

#!/usr/bin/env bash
# A float64 network with activation="tanh" on Keras' JAX backend: Keras 3.15.1, JAX 0.10.2.
#
# A natural guess: with JAX's 64 bits switched on, layers of dtype="float64" compute in float64,
# whatever the activation; weights, inputs and outputs are float64, and there is no warning.
# Behaviour: keras.ops.tanh, and with it the activation of that name, takes its dtype from Keras'
# rules of promotion, which make float32 of float64 on JAX. The next layer casts up again, so that
# the result is float64 with the accuracy of float32. "sigmoid", "elu", exp and log keep float64; sin,
# cos, tan, floor, var and logaddexp do not. TensorFlow's backend keeps it for all of them. The same rule
# on the torch backend is Keras' issue 23223, about the functions alone.
# Hurt: physics-informed networks, finite differences, whoever compares two backends to more than six
# digits or needs the same rounding on both, as a codec does.
# Seen: "sigmoid: float64, error 4e-16; tanh: float64, error 2e-07".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2
cat > "$folder/program.py" << 'PYTHON'
import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
import keras

ACTIVATIONS = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}
inputs = np.random.default_rng(0).normal(size=(50, 8))
errors = {}
for name, function in ACTIVATIONS.items():
    hidden = keras.layers.Dense(16, name, dtype="float64")
    last = keras.layers.Dense(4, dtype="float64")
    found = np.asarray(last(hidden(inputs)))
    weights = [np.asarray(weight) for weight in hidden.weights + last.weights]
    expected = function(inputs @ weights[0] + weights[1]) @ weights[2] + weights[3]
    assert {array.dtype.name for array in [found, *weights]} == {"float64"}
    errors[name] = np.abs(found - expected).max()
print("; ".join(f"{name}: float64, error {error:.0e}" for name, error in errors.items()))
assert errors["sigmoid"] < 1e-14 and errors["tanh"] > 1e-9
PYTHON
KERAS_BACKEND=jax "$folder/venv/bin/python" "$folder/program.py" 2> /dev/null

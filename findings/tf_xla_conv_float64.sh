#!/usr/bin/env bash
# tf.function(jit_compile=True) of a float64 convolution on a CPU, TensorFlow 2.21.0, beside JAX.
#
# A natural guess: a float64 convolution takes two to three times as long as a float32 one, and XLA
# makes neither slower. That holds for TensorFlow's own operation, and for JAX 0.10.2, which is
# compiled by a newer XLA.
# Behaviour: under TensorFlow's XLA the float64 convolution is a plain loop, without the library that
# float32 goes to. The numbers are right. It takes more than ten times as long as without XLA.
# Hurt: who compiles a float64 model on a CPU for speed, as in simulation, or for numbers that agree
# between machines: without a word, it becomes ten times slower.
# Seen on one thread of an EPYC with AVX-512: "TensorFlow float32 2.8 ms, XLA float32 3.4 ms, JAX
# float32 2.5 ms, TensorFlow float64 6.3 ms, XLA float64 95.0 ms, JAX float64 6.2 ms".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow==2.21.0 jax==0.10.2
cat > "$folder/program.py" << 'PYTHON'
import time

import jax
import numpy as np
import tensorflow as tf

jax.config.update("jax_enable_x64", True)
tf.config.threading.set_intra_op_parallelism_threads(1)
draw = np.random.default_rng(0)
images = draw.normal(size=(16, 28, 28, 32))
kernel = draw.normal(size=(3, 3, 32, 32))


def seconds(function, *arrays):
    """The result, and the processor time of the fastest of five calls after the first."""
    result, times = np.asarray(function(*arrays)), []
    for _ in range(5):
        start = time.process_time()
        np.asarray(function(*arrays))
        times.append(time.process_time() - start)
    return result, min(times)


def plain(x, k):
    return tf.nn.conv2d(x, k, 1, "SAME")


@jax.jit
def in_jax(x, k):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=layout)


took = {}
for dtype in ("float32", "float64"):
    arrays = [tf.constant(array, dtype) for array in (images, kernel)]
    expected, took["TensorFlow", dtype] = seconds(tf.function(plain), *arrays)
    found, took["XLA", dtype] = seconds(tf.function(plain, jit_compile=True), *arrays)
    other, took["JAX", dtype] = seconds(in_jax, *(array.numpy() for array in arrays))
    for result in (found, other):
        np.testing.assert_allclose(result, expected, atol=1e-3 if dtype == "float32" else 1e-10)
print(", ".join(f"{way} {dtype} {1e3 * value:.1f} ms" for (way, dtype), value in took.items()))
assert took["XLA", "float32"] < 3 * took["TensorFlow", "float32"]
assert took["XLA", "float64"] > 5 * took["TensorFlow", "float64"]
assert took["JAX", "float64"] < 3 * took["TensorFlow", "float64"]
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/program.py" 2> /dev/null

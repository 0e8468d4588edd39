#!/usr/bin/env bash
# tf.nn.conv2d with explicit padding in bfloat16, TensorFlow 2.21.0 on a CPU with AVX-512.
#
# A natural guess: padding=[[0, 0], [1, 1], [1, 1], [0, 0]] is tf.pad and a "VALID" convolution in
# one, so values and gradients are the same up to one rounding, and time is too. A 3 x 3 kernel with
# one pixel on each side is also what "SAME" does.
# Behaviour: for explicit padding oneDNN's kernels are not used in the backward pass, whose sums
# then run in bfloat16 all along. Values are the same. The kernel's gradient, a sum over batch,
# height and width, is off by several hundredths of its largest entry, with tf.pad by 0.003, and
# worse the more is summed; the step takes tens of times as long. In float32 all agree to 1e-5.
# Hurt: who ports a network with symmetric padding (stride 2 differs from "SAME") and trains it in
# mixed bfloat16 on a CPU: slow, and its gradients are noisy without a word.
# Seen: "kernel's gradient, error relative to its largest entry: pad 0.0028, same 0.0028, explicit
# 0.0403", and 10, 9 and 409 ms on one thread.
# Without AVX-512 oneDNN has no bfloat16 kernels, and there is nothing to compare.
set -euo pipefail
if ! grep -q avx512f /proc/cpuinfo; then
    echo "This CPU has no AVX-512: not tried."
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow==2.21.0
cat > "$folder/program.py" << 'PYTHON'
import time

import numpy as np
import tensorflow as tf

draw = np.random.default_rng(0)
images = draw.normal(size=(64, 28, 28, 32))
kernel = 0.06 * draw.normal(size=(3, 3, 32, 32))
upstream = draw.normal(size=images.shape)
SIDES = [[0, 0], [1, 1], [1, 1], [0, 0]]
WAYS = {
    "pad": lambda x, k: tf.nn.conv2d(tf.pad(x, SIDES), k, 1, "VALID"),
    "same": lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"),
    "explicit": lambda x, k: tf.nn.conv2d(x, k, 1, SIDES),
}


def slopes(way, dtype):
    """Value, and gradients by images and kernel; seconds of the second call."""

    @tf.function
    def run(x, k, u):
        with tf.GradientTape() as tape:
            tape.watch([x, k])
            value = WAYS[way](x, k)
        return [value, *tape.gradient(value, [x, k], u)]

    given = [tf.cast(array, dtype) for array in (images, kernel, upstream)]
    run(*given)
    start = time.perf_counter()
    found = run(*given)
    seconds = time.perf_counter() - start
    return [tf.cast(tensor, "float32").numpy() for tensor in found], seconds


def error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


exact, _ = slopes("pad", "float32")
for way in WAYS:
    assert all(error(*pair) < 1e-5 for pair in zip(slopes(way, "float32")[0], exact)), way
errors, times = {}, {}
for way in WAYS:
    (value, _, slope), times[way] = slopes(way, "bfloat16")
    assert error(value, exact[0]) < 0.01
    errors[way] = error(slope, exact[2])
told = ", ".join(f"{way} {value:.4f}" for way, value in errors.items())
print(f"kernel's gradient, error relative to its largest entry: {told}")
print("milliseconds:", ", ".join(f"{way} {1e3 * value:.0f}" for way, value in times.items()))
assert max(errors["pad"], errors["same"]) < 0.006 and errors["explicit"] > 0.02
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/program.py" 2> /dev/null

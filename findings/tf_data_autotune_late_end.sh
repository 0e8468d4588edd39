#!/usr/bin/env bash
# TensorFlow 2.21.0, tf.data: the end of an iteration waits for the autotuner.
#
# A natural guess: when the last element of a small pipeline has been read, dropping the iterator
# takes no time, and the autotuner, which only chooses buffer sizes and numbers of threads in the
# background, does not hold the program up.
# Behaviour: destroying the iterator of a pipeline that has something to tune (a parallel map, a
# prefetch) at times waits until the autotuner's thread wakes by itself. It sleeps for 10, 20, 40,
# ... ms, so the later the end, the longer the wait: up to as long as the iteration itself took.
# With options.autotune.enabled = False there is no wait.
# Hurt: whoever times epochs, or trains in short ones: Keras' fit reads arrays through such a
# pipeline, and an epoch of 0.9 s takes 0.9 or 1.3 s, one of 5.5 s up to 10, at random.
# Seen: of 48 iterations of 0.2 to 0.9 s, "late by more than 0.1 s: 11 with the autotuner, 0 without".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow==2.21.0
cat > "$folder/program.py" << 'PYTHON'
import time

import tensorflow as tf


def wait_at_the_end(seconds, tuned):
    """Seconds from the last element until the iterator is gone."""
    options = tf.data.Options()
    options.autotune.enabled = tuned
    numbers = tf.data.Dataset.range(100).map(lambda x: x + 1, num_parallel_calls=2).prefetch(2)
    iterator = iter(numbers.with_options(options))
    for _ in range(99):
        next(iterator)
        time.sleep(seconds / 99)
    start = time.perf_counter()
    del iterator
    return time.perf_counter() - start


late = {}
for tuned in (True, False):
    waits = [wait_at_the_end(0.2 + 0.015 * trial, tuned) for trial in range(48)]
    late[tuned] = sum(wait > 0.1 for wait in waits)
print(f"late by more than 0.1 s: {late[True]} with the autotuner, {late[False]} without")
assert late[True] >= 1 and late[False] == 0, "the behaviour has changed"
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/program.py" 2> /dev/null

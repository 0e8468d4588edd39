"""Runs a search for each line of its input, in a process of its own, and prints how that ended.

A line is a JSON object: recipe, out, environment, and kill_at, the training step after which the
process is killed (as by kill -9), or 0. Libraries are imported once, for all.
"""

import json
import os
import signal
import sys
import traceback

import tensorflow as tf

from vlae_tf.runs import Recipe
from vlae_tf.training import NaNGuard
from vlae_tf.tuning import tune


def search(recipe, out, environment, kill_at):
    os.environ.update(environment)
    tf.config.run_functions_eagerly(True)
    steps, check = 0, NaNGuard.on_train_batch_end

    def count(self, batch, logs=None):
        nonlocal steps
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        check(self, batch, logs)

    NaNGuard.on_train_batch_end = count
    choices, sizes = {"model.latent_dim": [1, 2]}, {"importance_samples": 2, "num_images": 8}
    results = tune(Recipe.load(recipe), choices, out, **sizes, verbose=0, command="a test")
    assert results is None, "a worker has none"


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)  # what the parent prints is the answers alone
        try:
            search(**json.loads(line))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)

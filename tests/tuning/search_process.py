"""python search_process.py RECIPE OUT [chief|worker HOST:PORT] [KILL_AT_STEP]

Runs a search, or a part of one; is killed (as by kill -9) after so many training steps of its own.
"""

import os
import signal
import sys

from vlae_tf.runs import Recipe
from vlae_tf.training import NaNGuard
from vlae_tf.tuning import recipe_tuner, search, tune

# So that a test need not wait long for a dead worker.
recipe_tuner.REPORT_S, search.LEASE_S = 0.5, 5

recipe, out, role, address, kill_at = sys.argv[1:]
steps = 0
check = NaNGuard.on_train_batch_end


def count(self, batch, logs=None):
    global steps
    steps += 1
    if steps == int(kill_at):
        os.kill(os.getpid(), signal.SIGKILL)
    check(self, batch, logs)


NaNGuard.on_train_batch_end = count
tune(
    Recipe.load(recipe),
    {"model.latent_dim": [1, 2, 3]},
    out,
    importance_samples=2,
    num_images=8,
    verbose=0,
    chief=None if role == "alone" else address,
    worker=role == "worker",
    command="a search in a test",
)

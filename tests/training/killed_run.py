"""python killed_run.py RECIPE OUT: trains twice, each time until it is killed (as by kill -9):
first after 5 steps, then in the middle of writing its second checkpoint.

Each is a process of its own, made by a fork, so that the imports are done once. Prints the signals
that ended them.
"""

import os
import signal
import sys

import keras

from tests.tiny import eagerly
from vlae_tf import files
from vlae_tf.runs import Recipe
from vlae_tf.training import train

counts = {"step": 0, "write": 0}
recipe, out = sys.argv[1:]


class Killer(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        count("step")


def count(what):
    counts[what] += 1
    if (what, counts[what]) == (where, number):
        os.kill(os.getpid(), signal.SIGKILL)


def half_written(source, target):
    if str(target).endswith("latest.weights.h5"):
        if (where, number) == ("write", counts["write"] + 1):
            os.truncate(source, os.path.getsize(source) // 2)
        count("write")
    replace(source, target)


replace = os.replace
files.os.replace = half_written
for where, number in (("step", 5), ("write", 2)):  # noqa: B007
    process = os.fork()
    if not process:
        with eagerly():
            train(Recipe.load(recipe), out, callbacks=[Killer()], verbose=0)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    print(os.WTERMSIG(status), flush=True)

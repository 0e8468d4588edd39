"""python killed_run.py RECIPE OUT step N: trains and is killed (as by kill -9) after N steps,
python killed_run.py RECIPE OUT write N: or in the middle of writing its Nth checkpoint."""

import os
import signal
import sys

import keras

from vlae_tf.runs import Recipe
from vlae_tf.training import files, train


class Killer(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        count("step")


counts = {"step": 0, "write": 0}
recipe, out, where, number = sys.argv[1:]


def count(what):
    counts[what] += 1
    if (what, counts[what]) == (where, int(number)):
        os.kill(os.getpid(), signal.SIGKILL)


def half_written(source, target):
    if str(target).endswith("latest.weights.h5"):
        if (where, counts["write"] + 1) == ("write", int(number)):
            os.truncate(source, os.path.getsize(source) // 2)
        count("write")
    replace(source, target)


replace = os.replace
files.os.replace = half_written
train(Recipe.load(recipe), out, callbacks=[Killer()], verbose=0)

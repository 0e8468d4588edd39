"""python worker.py RECIPE OUT [STEPS]: one of the workers that TF_CONFIG names trains a recipe, and
is killed (as by kill -9) after so many steps."""

import os
import signal
import sys

import keras

from vlae_tf.runs import Recipe
from vlae_tf.training import train

recipe, out, *steps = sys.argv[1:]


class Killer(keras.callbacks.Callback):
    done = 0

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if steps and self.done == int(steps[0]):
            os.kill(os.getpid(), signal.SIGKILL)


train(Recipe.load(recipe), out, callbacks=[Killer()], verbose=0)

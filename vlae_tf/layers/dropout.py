import keras

from vlae_tf.backend import kept_at_random


class Dropout(keras.layers.Dropout):
    """Keras' dropout, with 16 random bits a number in the place of 32 and a floating-point number.

        y = x keep / P(keep),    keep = 1 with P(keep) = 1 - rate, else 0    (to 2^-16)

    On a CPU Keras' own takes a sixth of a training step.
    """

    def call(self, inputs, training=False):
        if not training or not self.rate:
            return inputs
        return inputs * kept_at_random(inputs, self.rate, self.seed_generator.next())

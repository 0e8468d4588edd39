"""Whether an epoch ends with its last step: `fit` against `train_on_batch` over the same steps.

    python benchmarks/epochs.py [--fits 40] [--seconds 1.0]

All take turns, with a small network: `fit` from an array and from a `tf.data.Dataset`, Keras' own
`fit`, whose epochs end when TensorFlow's autotuner wakes, and the steps themselves, against those
before and after: what the machine does to any of them. Processor time, and what comes after the
last step, tell them apart on a busy machine too.
"""

import argparse
import time

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track
from rich.table import Table

import vlae_tf
from vlae_tf import likelihoods, networks, priors

SHAPE, BATCH = (28, 28, 1), 64


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fits", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a call of `fit`, about")
    arguments = parser.parse_args()

    small = {"filters": [8, 16], "blocks": 0, "units": 32}
    model = vlae_tf.VLAE(
        SHAPE,
        8,
        networks.ResNetEncoder(**small),
        networks.ResNetDecoder(SHAPE, **small),
        prior_family=priors.FlowPrior(8, steps=0),
        likelihood_family=likelihoods.BernoulliLikelihood(SHAPE),
    )
    model.compile("adam")
    one = np.random.default_rng(0).integers(0, 2, (BATCH, *SHAPE), "uint8")

    class LastStep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.time = time.perf_counter()

    last = LastStep()
    options = {"shuffle": False, "verbose": 0, "callbacks": [last]}

    def steps_alone(images):
        for start in range(0, len(images), BATCH):
            model.train_on_batch(images[start : start + BATCH])

    def fit(images):
        model.fit(images, batch_size=BATCH, **options)

    def fit_dataset(images):
        dataset = tf.data.Dataset.from_tensor_slices(images).batch(BATCH).prefetch(2)
        model.fit(dataset, **options)

    def keras_alone(images):
        keras.Model.fit(model, images, batch_size=BATCH, **options)

    def seconds(run, images):
        """How long a call takes, its processor time, and what comes after its last step."""
        start, used = time.perf_counter(), time.process_time()
        run(images)
        end, used = time.perf_counter(), time.process_time() - used
        return np.array([end - start, used, end - last.time if run != steps_alone else 0.0])

    for run in (steps_alone, fit, fit_dataset, keras_alone):
        run(one)
    ten = np.repeat(one, 10, axis=0)
    each = min(seconds(steps_alone, ten)[0] for _ in range(3)) / 10
    images = np.repeat(one, max(1, round(arguments.seconds / each)), axis=0)

    kinds = {
        "fit, array": fit,
        "fit, tf.data.Dataset": fit_dataset,
        "Keras alone, array": keras_alone,
        "the steps alone": steps_alone,
    }
    measured = {name: [] for name in kinds}
    after = seconds(steps_alone, images)
    for _ in track(range(arguments.fits), "Measuring"):
        for name, run in kinds.items():
            before, (wall, used, rest) = after, seconds(run, images)
            after = seconds(steps_alone, images)
            alone = (before + after) / 2
            measured[name].append((wall / alone[0], used / alone[1], 1e3 * rest))

    table = Table("call", "times the steps alone", "in processor time", "after the last step, ms")
    for name, rows in measured.items():
        walls, used, rests = np.transpose(rows)
        table.add_row(name, above(walls), above(used), summary(rests, 0))
    console = Console()
    console.print(table)
    console.print(f"Quartiles and the longest; {len(images) // BATCH} steps of {BATCH} images.")


def above(ratios):
    """The summary of ratios, and how many of them are above 1.1."""
    return f"{summary(ratios, 2)} ({np.sum(ratios > 1.1)} above 1.1)"


def summary(values, digits):
    """The quartiles of values, and the largest."""
    low, middle, high, most = np.percentile(values, (25, 50, 75, 100))
    return f"{low:.{digits}f}, {middle:.{digits}f}, {high:.{digits}f}; {most:.{digits}f}"


if __name__ == "__main__":
    main()

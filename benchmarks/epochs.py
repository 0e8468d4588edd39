"""Whether an epoch ends with its last step: `fit` against `train_on_batch` over the same steps.

    python benchmarks/epochs.py [--fits 40] [--seconds 1.0]

A small network, so that the steps are alike. The two take turns, `fit` from an array and from a
`tf.data.Dataset` in turn. Then the same with TensorFlow's autotuner (Keras alone, without
vlae_tf), which ends an epoch late.
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

    def steps_alone(images):
        for start in range(0, len(images), BATCH):
            model.train_on_batch(images[start : start + BATCH])

    def fit(images):
        model.fit(images, batch_size=BATCH, shuffle=False, verbose=0)

    def fit_dataset(images):
        dataset = tf.data.Dataset.from_tensor_slices(images).batch(BATCH).prefetch(2)
        model.fit(dataset, shuffle=False, verbose=0)

    def fit_with_autotuner(images):
        # What `fit` of an `ImageModel` does before Keras' own.
        keras.Model.fit(model, images, batch_size=BATCH, shuffle=False, verbose=0)

    def seconds(run, images):
        start = time.perf_counter()
        run(images)
        return time.perf_counter() - start

    for run in (steps_alone, fit, fit_dataset, fit_with_autotuner):
        run(one)
    ten = np.repeat(one, 10, axis=0)
    each = min(seconds(steps_alone, ten) for _ in range(3)) / 10
    images = np.repeat(one, max(1, round(arguments.seconds / each)), axis=0)
    console = Console()
    console.print(f"{len(images) // BATCH} steps of {BATCH} images a call.")

    table = Table("call", "longest", "quartiles", "calls more than 10 % slower")
    kinds = {
        "fit, array": fit,
        "fit, tf.data.Dataset": fit_dataset,
        "Keras alone, array": fit_with_autotuner,
    }
    for name, run in kinds.items():
        ratios = []
        for _ in track(range(arguments.fits), name):
            before = seconds(steps_alone, images)
            measured = seconds(run, images)
            ratios.append(measured / np.mean([before, seconds(steps_alone, images)]))
        quartiles = ", ".join(f"{q:.2f}" for q in np.percentile(ratios, (25, 50, 75)))
        late = sum(ratio > 1.1 for ratio in ratios)
        table.add_row(name, f"{max(ratios):.2f}", quartiles, f"{late} of {len(ratios)}")
    console.print(table)
    console.print("Times that of `train_on_batch` over the same steps, before and after the call.")


if __name__ == "__main__":
    main()

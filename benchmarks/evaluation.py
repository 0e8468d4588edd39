"""Throughput of importance weighting, in pairs of an image and a sample per second.

    python benchmarks/evaluation.py [RUN or zoo entry] [--rounds 10]

All variants take turns within each round, and each ratio is the median over rounds: what else the
machine does slows them alike. With a trained model the precisions are compared in nats as well.
"""

import argparse
import dataclasses
import time

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from vlae_tf import zoo
from vlae_tf.evaluation import importance_weighted_log_prob
from vlae_tf.training import Recipe

DTYPES = ("float32", "mixed_bfloat16")
# Images and samples a step. One image a step computes its posterior once for all samples;
# one sample a step computes a posterior for each pair.
STEPS = ((1, 32), (1, 128), (1, 512), (128, 1))
REFERENCE = ("float32", (1, 128))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", nargs="?", help="a run or an entry; fresh weights if absent")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()

    def build(dtype):
        if arguments.source is not None:
            return zoo.load_source(arguments.source, dtype)
        recipe = dataclasses.replace(Recipe.load("mnist_static"), dtype=dtype)
        return recipe.build_model((28, 28, 1))

    models = {dtype: build(dtype) for dtype in DTYPES}
    images = np.random.default_rng(0).integers(0, 2, (128, 28, 28, 1))
    if arguments.source is not None:
        images = models["float32"].sample(128, seed=0)

    def seconds(dtype, step):
        count, samples = step
        start = time.perf_counter()
        importance_weighted_log_prob(
            models[dtype], images[:count], samples, batch_size=count * samples
        )
        return time.perf_counter() - start

    variants = [(dtype, step) for dtype in DTYPES for step in STEPS]
    for variant in track(variants, "Tracing"):
        seconds(*variant)
    # Each variant evaluates equally many pairs a round.
    pairs = max(count * samples for count, samples in STEPS)
    rates = {variant: [] for variant in variants}
    for _ in track(range(arguments.rounds), "Measuring"):
        for variant in variants:
            count, samples = variant[1]
            repeats = pairs // (count * samples)
            elapsed = sum(seconds(*variant) for _ in range(repeats))
            rates[variant].append(repeats * count * samples / elapsed)

    table = Table("policy", "images x samples a step", "pairs/s", "ratio")
    for (dtype, (count, samples)), measured in rates.items():
        ratio = np.median(np.array(measured) / rates[REFERENCE])
        rate = np.median(measured)
        table.add_row(dtype, f"{count} x {samples}", f"{rate:,.0f}", f"{ratio:.2f}")
    console = Console()
    console.print(table)
    console.print("Medians over rounds; ratios to float32 at 1 x 128.")
    if arguments.source is not None:
        full, reduced = (importance_weighted_log_prob(m, images, 16) for m in models.values())
        console.print(
            f"mixed_bfloat16 - float32, on {len(images)} images that the model drew: "
            f"{np.mean(reduced - full):+.3f} nats on average, {np.std(reduced - full):.3f} an image"
        )


if __name__ == "__main__":
    main()

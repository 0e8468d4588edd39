"""Throughput of importance weighting, in pairs of an image and a sample per second.

    python benchmarks/evaluation.py [RUN or zoo entry] [--rounds 10]

All variants take turns within each round, and each ratio is the median over rounds: what else the
machine does slows them alike. So do the parts of which a step is made, whose shares say what limits
it. With a trained model the precisions are compared in nats as well.
"""

import argparse
import time

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from vlae_tf import zoo
from vlae_tf.backend import compiled
from vlae_tf.models import importance_weighted_log_prob
from vlae_tf.runs import Recipe

DTYPES = ("float32", "mixed_bfloat16")
# Images and samples a step. One image a step computes its posterior once for all samples;
# one sample a step computes a posterior for each pair.
STEPS = ((1, 32), (1, 128), (1, 512), (128, 1))
REFERENCE = ("float32", (1, 128))
# Of a step; what remains of it is the likelihood given the maps.
PARTS = {
    "posterior": lambda model, image, codes: model.posterior_parameters(image),
    "prior": lambda model, image, codes: model.prior().log_prob(codes),
    "maps from codes": lambda model, image, codes: model.decoder(codes),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", nargs="?", help="a run or an entry; fresh weights if absent")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()

    def build(dtype):
        if arguments.source is not None:
            return zoo.load(arguments.source, dtype)
        recipe = Recipe.load("mnist_static").replace(dtype=dtype)
        return recipe.build_model((28, 28, 1))

    models = {dtype: build(dtype) for dtype in DTYPES}
    if arguments.source is None:
        images = np.random.default_rng(0).integers(0, 2, (128, 28, 28, 1))
    else:
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
    _print_shares(console, models["mixed_bfloat16"], images[:1], arguments.rounds)
    if arguments.source is not None:
        full, reduced = (importance_weighted_log_prob(m, images, 16) for m in models.values())
        console.print(
            f"mixed_bfloat16 - float32, on {len(images)} images that the model drew: "
            f"{np.mean(reduced - full):+.3f} nats on average, {np.std(reduced - full):.3f} an image"
        )


def _print_shares(console, model, image, rounds, samples=128):
    """Which part of a step of one image and so many samples takes how much of its time."""
    codes = np.random.default_rng(0).standard_normal((samples, model.latent_dim), "float32")
    inputs = image.astype("float32"), codes
    graphs = {
        name: compiled(model, lambda image, codes, part=part: part(model, image, codes))
        for name, part in PARTS.items()
    }

    def seconds(run):
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    times = {name: [] for name in (*PARTS, "likelihood given maps")}
    for count in range(rounds + 1):
        step = seconds(lambda: importance_weighted_log_prob(model, image, samples, 0, samples))
        parts = [seconds(lambda g=graph: np.asarray(g(*inputs))) for graph in graphs.values()]
        if count:  # the first round traces
            for measured, elapsed in zip(times.values(), [*parts, step - sum(parts)], strict=True):
                measured.append(elapsed)
    medians = {name: np.median(measured) for name, measured in times.items()}
    shares = (f"{name} {t / sum(medians.values()):.0%}" for name, t in medians.items())
    console.print(
        f"A step of 1 x {samples} in mixed_bfloat16 takes {1000 * sum(medians.values()):.0f} ms: "
        + ", ".join(shares)
    )


if __name__ == "__main__":
    main()

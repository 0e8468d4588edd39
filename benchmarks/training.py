"""Throughput of training, in images per second: float32 against mixed_bfloat16.

    python benchmarks/training.py [RECIPE] [--rounds 10] [--steps 5]

The policies take turns within each round, in alternate order, and the ratio is the median over
rounds: what else the machine does slows both alike.
"""

import argparse
import time

import keras
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from vlae_tf.datasets import DATASETS
from vlae_tf.runs import Recipe
from vlae_tf.training import recipe_optimizer

DTYPES = ("float32", "mixed_bfloat16")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", nargs="?", default="mnist_dynamic", help="of a named data set")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=5, help="training steps each time")
    arguments = parser.parse_args()

    recipe = Recipe.load(arguments.recipe)
    count = arguments.steps * recipe.batch_size
    shape = DATASETS[recipe.dataset].image_shape
    images = np.random.default_rng(0).integers(0, recipe.levels, (count, *shape), "uint8")

    def compiled(dtype):
        model = recipe.replace(dtype=dtype).build_model(images.shape[1:])
        jit_compile = recipe.jit_compile or keras.backend.backend() == "jax"
        model.compile(recipe_optimizer(recipe, arguments.steps), jit_compile=jit_compile)
        return model

    models = {dtype: compiled(dtype) for dtype in DTYPES}

    def rate(dtype):
        start = time.perf_counter()
        models[dtype].fit(images, batch_size=recipe.batch_size, shuffle=False, verbose=0)
        return count / (time.perf_counter() - start)

    for dtype in track(DTYPES, "Tracing"):
        rate(dtype)
    rates = {dtype: [] for dtype in DTYPES}
    for number in track(range(arguments.rounds), "Measuring"):
        for dtype in DTYPES[:: 1 if number % 2 else -1]:
            rates[dtype].append(rate(dtype))

    table = Table("policy", "images/s", "ratio to float32", "quartiles of the ratio")
    for dtype, measured in rates.items():
        ratios = np.array(measured) / rates["float32"]
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        table.add_row(
            dtype, f"{np.median(measured):,.0f}", f"{middle:.2f}", f"{low:.2f} to {high:.2f}"
        )
    console = Console()
    console.print(table)
    console.print(
        f"Medians over {arguments.rounds} rounds of {arguments.steps} steps of {recipe.batch_size} "
        f"images, {arguments.recipe}, {keras.backend.backend()}."
    )


if __name__ == "__main__":
    main()

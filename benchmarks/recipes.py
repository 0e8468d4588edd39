"""Time of a training step of several recipes, as ratios to the first.

    python benchmarks/recipes.py mnist_dynamic_gaussian mnist_dynamic_laplace_0 \\
        mnist_dynamic_laplace mnist_dynamic_laplace_2 [--rounds 10] [--steps 20]

The recipes take turns within each round, in alternate order, and the ratio is the median over
rounds: what else the machine does slows all alike. They must be of one data set, and have one size
of a batch.
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipes", nargs="+", help="of a named data set")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20, help="training steps each time")
    arguments = parser.parse_args()

    recipes = {name: Recipe.load(name) for name in arguments.recipes}
    first = next(iter(recipes.values()))
    kinds = {(recipe.dataset, recipe.batch_size) for recipe in recipes.values()}
    if len(kinds) > 1:
        parser.error(f"recipes must have one data set and size of a batch. Received: {kinds}")
    shape = DATASETS[first.dataset].image_shape
    count = arguments.steps * first.batch_size
    images = np.random.default_rng(0).integers(0, first.levels, (count, *shape), "uint8")

    def compiled(recipe):
        model = recipe.build_model(shape)
        model.initialize_from_data(images[: first.batch_size])
        jit_compile = recipe.jit_compile or keras.backend.backend() == "jax"
        model.compile(recipe_optimizer(recipe, arguments.steps), jit_compile=jit_compile)
        return model

    models = {name: compiled(recipe) for name, recipe in recipes.items()}

    def seconds(name):
        start = time.perf_counter()
        models[name].fit(images, batch_size=first.batch_size, shuffle=False, verbose=0)
        return (time.perf_counter() - start) / arguments.steps

    for name in track(recipes, "Tracing"):
        seconds(name)
    times = {name: [] for name in recipes}
    for number in track(range(arguments.rounds), "Measuring"):
        for name in list(recipes)[:: 1 if number % 2 else -1]:
            times[name].append(seconds(name))

    table = Table("recipe", "ms a step", "ratio to the first", "quartiles of the ratio")
    for name, measured in times.items():
        ratios = np.array(measured) / times[arguments.recipes[0]]
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        milliseconds = f"{1e3 * np.median(measured):.1f}"
        table.add_row(name, milliseconds, f"{middle:.2f}", f"{low:.2f} to {high:.2f}")
    console = Console()
    console.print(table)
    console.print(
        f"Medians over {arguments.rounds} rounds of {arguments.steps} steps of {first.batch_size} "
        f"images, {keras.backend.backend()}."
    )


if __name__ == "__main__":
    main()

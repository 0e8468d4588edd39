"""What reading from a Python generator costs: time of a training step, with and without one.

    python benchmarks/generators.py [RECIPE] [--rounds 3] [--steps 20] [--dtype float32] [--control]

The first `tf.data.Dataset.from_generator` of a process, which is also how Keras reads a
`keras.utils.PyDataset`, has TensorFlow set the C library's M_TRIM_THRESHOLD to 128 kB for good:
freed tensors go back to the system, and each step gets its memory anew. As it cannot be taken back,
each measurement is a process of its own; the two kinds take turns.
"""

import argparse
import multiprocessing
import time

import numpy as np
from rich.console import Console
from rich.progress import track

from vlae_tf.datasets import DATASETS
from vlae_tf.runs import Recipe
from vlae_tf.training import recipe_optimizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", nargs="?", default="cifar10_densenet", help="of a named data set")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20, help="training steps each time")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--control", action="store_true", help="the decoder without a code")
    arguments = parser.parse_args()

    recipe = Recipe.load(arguments.recipe).replace(dtype=arguments.dtype)
    if arguments.control:
        recipe = recipe.control()
    seconds = {False: [], True: []}
    for number in track(range(arguments.rounds), "Measuring"):
        for generator in (False, True) if number % 2 else (True, False):
            with multiprocessing.get_context("spawn").Pool(1) as process:
                measured = process.apply(step_seconds, (recipe, arguments.steps, generator))
            seconds[generator].append(measured)
    ratios = np.array(seconds[True]) / seconds[False]
    Console().print(
        f"A step of {recipe.batch_size} images, {arguments.recipe}, {arguments.dtype}, median of "
        f"{arguments.rounds} rounds of {arguments.steps} steps: {np.median(seconds[False]):.3f} s; "
        f"{np.median(seconds[True]):.3f} s after a generator, {np.median(ratios):.2f} times as "
        f"long ({ratios.min():.2f} to {ratios.max():.2f})."
    )


def step_seconds(recipe, steps, generator):
    """Median time of a training step in this process, where a generator is read first or not."""
    import tensorflow as tf

    if generator:
        scalar = tf.TensorSpec((), tf.int32)
        list(tf.data.Dataset.from_generator(lambda: iter([0]), output_signature=scalar))
    shape = (recipe.batch_size, *DATASETS[recipe.dataset].image_shape)
    images = np.random.default_rng(0).integers(0, recipe.levels, shape, "uint8")
    model = recipe.build_model(shape[1:])
    model.compile(recipe_optimizer(recipe, steps), jit_compile=recipe.jit_compile)
    times = []
    for _ in range(5 + steps):
        start = time.perf_counter()
        model.train_on_batch(images)
        times.append(time.perf_counter() - start)
    return np.median(times[5:])


if __name__ == "__main__":
    main()

"""This version against another one: how many times as fast, in two processes that take turns.

    python benchmarks/versions.py OTHER [--work sample_1 sample_16 ...] [--rounds 15]

OTHER is the folder of another checkout (`git worktree add --detach OTHER COMMIT`). Both run each
work in turn, and a ratio is that of two neighbouring runs: what else the machine does slows both.
Processor time, of all threads, is measured beside wall time: on a busy machine it is the steadier.
The first call, with its tracing, is measured apart, and what both return is compared.
"""

import argparse
import multiprocessing
import os
import sys
import time

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

IMAGES = 32


def sample(n):
    return lambda model, images: model.sample(n)


def likelihood(model, images):
    return model.log_likelihood(images[:1], importance_samples=128)


def step(model, images):
    return model.train_on_batch(images)


# Name: the entry, its policy (None for its own), and the work.
WORKS = {
    "sample_1": ("mnist_static", None, sample(1)),
    "sample_16": ("mnist_static", None, sample(16)),
    "sample_64": ("mnist_static", None, sample(64)),
    "likelihood_bfloat16": ("mnist_static", "mixed_bfloat16", likelihood),
    "likelihood_lossy": ("cifar10_lossy_4x2", "float32", likelihood),
    "step_float32": ("mnist_static", "float32", step),
    "step_bfloat16": ("mnist_static", "mixed_bfloat16", step),
    "step_lossy": ("cifar10_lossy_4x2", "float32", step),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("other", help="folder of the other checkout")
    parser.add_argument("--work", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()

    this = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    context = multiprocessing.get_context("spawn")
    ends = {}
    for folder in (this, os.path.abspath(arguments.other)):
        ends[folder], theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, folder), daemon=True).start()

    def turn(folder, name):
        ends[folder].send(name)
        return ends[folder].recv()

    table = Table("work", "times as fast, wall", "processor", "first call", "results")
    for name in arguments.work:
        first = {folder: turn(folder, name) for folder in ends}
        ratios = []
        for number in track(range(arguments.rounds), name):
            order = list(ends)[:: 1 if number % 2 else -1]
            now = {folder: turn(folder, name) for folder in order}
            mine, theirs = now.values() if order[0] == this else reversed(now.values())
            ratios.append(np.divide(theirs[:2], mine[:2]))
        mine, theirs = first.values()
        table.add_row(
            name,
            *(quartiles(column) for column in np.transpose(ratios)),
            f"{theirs[1] / mine[1]:.2f} (processor)",
            difference(mine[2], theirs[2]),
        )
        for folder in ends:
            turn(folder, None)
    for end in ends.values():
        end.send("")
    Console().print(table)


def serve(pipe, folder):
    """Runs works of a checkout when it is asked: wall seconds, processor seconds, the result."""
    sys.path.insert(0, folder)
    import keras

    import vlae_tf

    assert vlae_tf.__file__.startswith(folder), vlae_tf.__file__
    model = None
    while True:
        name = pipe.recv()
        if name == "":
            return
        if name is None:
            model = None
            pipe.send(None)
            continue
        entry, dtype, work = WORKS[name]
        if model is None:
            keras.utils.set_random_seed(0)
            model = vlae_tf.zoo.load(entry, dtype)
            model.compile(keras.optimizers.Adamax(1e-6))
            shape = (IMAGES, *model.image_shape)
            images = np.random.default_rng(0).integers(0, model.levels, shape, "uint8")
        wall, processor = time.perf_counter(), time.process_time()
        result = work(model, images)
        seconds = time.perf_counter() - wall, time.process_time() - processor
        pipe.send((*seconds, np.asarray(result)))


def quartiles(values):
    low, middle, high = np.percentile(values, (25, 50, 75))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def difference(mine, theirs):
    """How far results are apart."""
    if np.array_equal(mine, theirs):
        return "equal"
    return f"{np.mean(mine != theirs):.1%} differ, by {np.abs(mine - theirs).max():.2g} at most"


if __name__ == "__main__":
    main()

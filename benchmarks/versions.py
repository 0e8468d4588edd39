"""This version against another one: how many times as fast, in two processes that take turns.

    python benchmarks/versions.py OTHER [--work sample_1 sample_16 ...] [--rounds 15]
    python benchmarks/versions.py . --environment TF_ENABLE_ONEDNN_OPTS=1

OTHER is the folder of another checkout (`git worktree add --detach OTHER COMMIT`), or of this one
if the environment of this version's process is what differs. Both run each
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
    "likelihood_float32": ("mnist_static", "float32", likelihood),
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
    parser.add_argument(
        "--environment", nargs="+", default=[], metavar="NAME=VALUE", help="of this version alone"
    )
    arguments = parser.parse_args()

    context = multiprocessing.get_context("spawn")

    def start(folder):
        end, theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, folder), daemon=True).start()
        return end

    ends = {"other": start(os.path.abspath(arguments.other))}
    os.environ.update(setting.split("=", 1) for setting in arguments.environment)
    ends["this"] = start(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

    def turn(version, name):
        ends[version].send(name)
        return ends[version].recv()

    table = Table("work", "times as fast, wall", "processor", "first call", "results")
    for name in arguments.work:
        first = {version: turn(version, name) for version in ends}
        ratios = []
        for number in track(range(arguments.rounds), name):
            order = list(ends)[:: 1 if number % 2 else -1]
            now = {version: turn(version, name) for version in order}
            ratios.append(np.divide(now["other"][:2], now["this"][:2]))
        table.add_row(
            name,
            *(quartiles(column) for column in np.transpose(ratios)),
            f"{first['other'][1] / first['this'][1]:.2f} (processor)",
            difference(first["this"][2], first["other"][2]),
        )
        for version in ends:
            turn(version, None)
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

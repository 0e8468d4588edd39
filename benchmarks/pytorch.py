"""Training of the IWAE beside a plain PyTorch program of the same networks, taking turns.

    python benchmarks/pytorch.py PYTHON [--samples 50] [--rounds 15] [--steps 10]

PYTHON is the interpreter of an environment with PyTorch. Both programs train 784-200-200-50 with
ELU, Adam and averaged weights in float32 on the same random images, each in a process of its own
with as many threads, one after the other within each round. The ratio is the median over rounds.
The peak of memory is that of the whole process.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

BATCH, LATENT = 100, 50


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("python", help="interpreter of an environment with PyTorch")
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="training steps each time")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--program", choices=PROGRAMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.program:
        serve(arguments)
        return

    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    def start(name):
        python = arguments.python if name == "PyTorch" else sys.executable
        return subprocess.Popen(
            [python, *sys.argv, "--program", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def turn(process):
        process.stdin.write("\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    processes = {name: start(name) for name in PROGRAMS}
    for name in track(PROGRAMS, "Starting"):
        turn(processes[name])
    seconds = {name: [] for name in PROGRAMS}
    for number in track(range(arguments.rounds), "Measuring"):
        for name in list(PROGRAMS)[:: 1 if number % 2 else -1]:
            measured = turn(processes[name])
            seconds[name].append(measured["seconds"])
            memory = measured["memory"]
            processes[name].memory = memory
    table = Table("program", "images/s", "times as fast as PyTorch (quartiles)", "peak, MiB")
    for name, measured in seconds.items():
        ratios = np.array(seconds["PyTorch"]) / measured
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        rate = arguments.steps * BATCH / np.median(measured)
        peak = f"{processes[name].memory:.0f}"
        table.add_row(name, f"{rate:.0f}", f"{middle:.2f} ({low:.2f} to {high:.2f})", peak)
        processes[name].terminate()
    Console().print(table)


def serve(arguments):
    """Trains for some steps at each line of standard input, and prints how long it took."""
    count = arguments.steps * BATCH
    images = np.random.default_rng(0).integers(0, 2, (count, 28, 28, 1)).astype("uint8")
    work = PROGRAMS[arguments.program](images, arguments.samples, arguments.threads)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "memory": memory}), flush=True)


def with_vlae_tf(images, samples, threads):
    import tensorflow as tf

    from vlae_tf.runs import Recipe
    from vlae_tf.training import recipe_optimizer

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    objective = {"class_name": "ImportanceWeightedELBO", "config": {"samples": samples}}
    optimizer = {"class_name": "Adam", "config": {"learning_rate": 2e-3, "ema_momentum": 0.9995}}
    recipe = Recipe.load("mnist_dynamic_iwae").replace(objective=objective, optimizer=optimizer)
    model = recipe.build_model(images.shape[1:])
    model.initialize_from_data(images[:BATCH])
    model.compile(recipe_optimizer(recipe, len(images) // BATCH))
    return lambda: model.fit(images, batch_size=BATCH, shuffle=False, verbose=0)


def with_pytorch(images, samples, threads):
    import torch
    from torch import nn
    from torch.nn.functional import softplus

    torch.set_num_threads(threads)
    pixels = images[0].size
    encoder = nn.Sequential(
        nn.Linear(pixels, 200), nn.ELU(), nn.Linear(200, 200), nn.ELU(), nn.Linear(200, 2 * LATENT)
    )
    decoder = nn.Sequential(
        nn.Linear(LATENT, 200), nn.ELU(), nn.Linear(200, 200), nn.ELU(), nn.Linear(200, pixels)
    )
    weights = [*encoder.parameters(), *decoder.parameters()]
    averages = [weight.detach().clone() for weight in weights]
    optimizer = torch.optim.Adam(weights, 2e-3)
    normal = torch.distributions.Normal

    def step(x):
        mean, scale = encoder(x).chunk(2, -1)
        posterior = normal(mean, softplus(scale) + 1e-4)
        code = posterior.rsample((samples,))
        logits = decoder(code)
        reconstruction = (x * logits - softplus(logits)).sum(-1)
        prior = normal(0.0, 1.0).log_prob(code).sum(-1)
        log_w = reconstruction + prior - posterior.log_prob(code).sum(-1)
        loss = -(torch.logsumexp(log_w, 0) - np.log(samples)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch._foreach_lerp_(averages, [weight.detach() for weight in weights], 1 - 0.9995)

    batches = torch.from_numpy(images.reshape(-1, BATCH, pixels)).float()

    def work():
        for batch in batches:
            step(batch)

    return work


PROGRAMS = {"PyTorch": with_pytorch, "vlae_tf": with_vlae_tf}

if __name__ == "__main__":
    main()

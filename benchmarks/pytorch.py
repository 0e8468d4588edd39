"""Training of an entry's networks beside a plain PyTorch program of the same ones, taking turns.

    python benchmarks/pytorch.py PYTHON mnist_dynamic_iwae [--samples 50] [--steps 10]
    python benchmarks/pytorch.py PYTHON mnist_static [--dtype mixed_bfloat16] [--steps 4]

PYTHON is the interpreter of an environment with PyTorch. Both programs train in the entry's sizes
on the same random images, each in a process of its own with as many threads, one after the other
within each round. The ratio is the median over rounds. The peak of memory is that of the whole
process. The networks:

    mnist_dynamic_iwae  784-200-200-50 with ELU, Adam, averaged weights, batches of 100
    mnist_static        residual encoder and decoder, flow as prior, PixelCNN with a local window,
                        dropout, Adamax of clipped gradients, averaged weights, batches of 64
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

BATCHES = {"mnist_dynamic_iwae": 100, "mnist_static": 64}
MOMENTUM = 0.9995


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("python", help="interpreter of an environment with PyTorch")
    parser.add_argument("entry", choices=BATCHES)
    parser.add_argument("--samples", type=int, default=50, help="of mnist_dynamic_iwae")
    parser.add_argument("--dtype", default="float32", help="of mnist_static")
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
        rate = arguments.steps * BATCHES[arguments.entry] / np.median(measured)
        peak = f"{processes[name].memory:.0f}"
        table.add_row(name, f"{rate:.0f}", f"{middle:.2f} ({low:.2f} to {high:.2f})", peak)
        processes[name].terminate()
    Console().print(table)


def serve(arguments):
    """Trains for some steps at each line of standard input, and prints how long it took."""
    count = arguments.steps * BATCHES[arguments.entry]
    images = np.random.default_rng(0).integers(0, 2, (count, 28, 28, 1)).astype("uint8")
    work = PROGRAMS[arguments.program](images, arguments)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "memory": memory}), flush=True)


def with_vlae_tf(images, arguments):
    import tensorflow as tf

    from vlae_tf.runs import Recipe
    from vlae_tf.training import recipe_optimizer

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    batch, recipe = BATCHES[arguments.entry], Recipe.load(arguments.entry)
    if arguments.entry == "mnist_dynamic_iwae":
        objective = {
            "class_name": "ImportanceWeightedELBO",
            "config": {"samples": arguments.samples},
        }
        adam = {"class_name": "Adam", "config": {"learning_rate": 2e-3, "ema_momentum": MOMENTUM}}
        recipe = recipe.replace(objective=objective, optimizer=adam)
    else:
        recipe = recipe.replace(dtype=arguments.dtype)
    model = recipe.build_model(images.shape[1:])
    model.initialize_from_data(images[:batch])
    model.compile(recipe_optimizer(recipe, len(images) // batch))
    return lambda: model.fit(images, batch_size=batch, shuffle=False, verbose=0)


def with_pytorch(images, arguments):
    import torch

    torch.set_num_threads(arguments.threads)
    batch = BATCHES[arguments.entry]
    batches = torch.from_numpy(images).float().reshape(-1, batch, 1, 28, 28)
    if arguments.entry == "mnist_dynamic_iwae":
        model = iwae(arguments.samples)
        optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    else:
        model = vlae().to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adamax(model.parameters(), 2e-3)
    mixed = arguments.entry == "mnist_static" and arguments.dtype == "mixed_bfloat16"
    weights = list(model.parameters())
    averages = [weight.detach().clone() for weight in weights]

    def work():
        for x in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                loss = model(x)
            optimizer.zero_grad()
            loss.backward()
            if arguments.entry == "mnist_static":
                torch.nn.utils.clip_grad_norm_(weights, 5.0)
            optimizer.step()
            torch._foreach_lerp_(averages, [w.detach() for w in weights], 1 - MOMENTUM)

    return work


def iwae(samples):
    """The IWAE in PyTorch: a module from images to the loss."""
    import torch
    from torch import nn
    from torch.nn.functional import softplus

    normal = torch.distributions.Normal

    class IWAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = (
                nn.Sequential(
                    nn.Linear(inputs, 200), nn.ELU(),
                    nn.Linear(200, 200), nn.ELU(),
                    nn.Linear(200, outputs),
                )
                for inputs, outputs in ((784, 100), (50, 784))
            )  # fmt: skip

        def forward(self, x):
            x = x.flatten(1)
            mean, scale = self.encoder(x).chunk(2, -1)
            posterior = normal(mean, softplus(scale) + 1e-4)
            code = posterior.rsample((samples,))
            logits = self.decoder(code)
            reconstruction = (x * logits - softplus(logits)).sum(-1)
            prior = normal(0.0, 1.0).log_prob(code).sum(-1)
            log_w = reconstruction + prior - posterior.log_prob(code).sum(-1)
            return -(torch.logsumexp(log_w, 0) - np.log(samples)).mean()

    return IWAE()


def vlae():
    """The VLAE of mnist_static in PyTorch: a module from images to the loss."""
    import torch
    from torch import nn
    from torch.nn.functional import conv2d, elu, linear, pad, softplus

    normal = torch.distributions.Normal

    class Residual(nn.Module):
        def __init__(self, inputs, outputs, change=None):
            super().__init__()
            self.skip = nn.Identity()
            if change is None:
                self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
            elif change == "down":
                self.first = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
                self.skip = nn.Conv2d(inputs, outputs, 1, stride=2)
            else:
                larger = {"stride": 2, "padding": 1, "output_padding": 1}
                self.first = nn.ConvTranspose2d(inputs, outputs, 3, **larger)
                self.skip = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
            self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
            self.dropout = nn.Dropout(0.2)

        def forward(self, x):
            return self.skip(x) + self.second(self.dropout(elu(self.first(elu(x)))))

    class MaskedConv(nn.Module):
        """A kernel of the rows above and its own, zero from the middle on in the last."""

        def __init__(self, inputs, outputs, rows, columns, own):
            super().__init__()
            self.kernel = nn.Conv2d(inputs, outputs, (rows, columns))
            mask = torch.ones(rows, columns)
            mask[-1, columns // 2 + own :] = 0
            self.register_buffer("mask", mask)
            self.padding = (columns // 2, columns // 2, rows - 1, 0)

        def forward(self, x):
            kernel = self.kernel
            return conv2d(pad(x, self.padding), kernel.weight * self.mask, kernel.bias)

    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = MaskedConv(32, 32, 2, 3, own=1)
            self.second = MaskedConv(32, 64, 2, 3, own=1)
            self.conditions = nn.ModuleList(nn.Conv2d(16, n, 1, bias=False) for n in (32, 64))
            self.dropout = nn.Dropout(0.2)

        def forward(self, x, maps):
            h = self.first(elu(x)) + self.conditions[0](maps)
            h = self.second(self.dropout(elu(h))) + self.conditions[1](maps)
            value, gate = h.chunk(2, 1)
            return x + value * gate.sigmoid()

    class MADE(nn.Module):
        def __init__(self, reverse):
            super().__init__()
            order = torch.arange(32).flip(0) if reverse else torch.arange(32)
            hidden = torch.arange(384) % 31
            self.layers = nn.ModuleList(
                nn.Linear(*sizes) for sizes in ((32, 384), (384, 384), (384, 32))
            )
            masks = (
                hidden[:, None] >= order,
                hidden[:, None] >= hidden,
                order[:, None] > hidden,
            )
            for number, mask in enumerate(masks):
                self.register_buffer(f"mask_{number}", mask.float())

        def forward(self, z):
            for number, layer in enumerate(self.layers):
                mask = getattr(self, f"mask_{number}")
                z = linear(z.relu() if number else z, layer.weight * mask, layer.bias)
            return z

    class VLAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(
                nn.Conv2d(1, 32, 3, padding=1),
                Residual(32, 48, "down"), Residual(48, 48), Residual(48, 48),
                Residual(48, 64, "down"), Residual(64, 64), Residual(64, 64),
                nn.ELU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(3136, 192), nn.ELU(),
                nn.Linear(192, 64),
            )  # fmt: skip
            self.decoder = nn.Sequential(
                nn.Linear(32, 192), nn.ELU(), nn.Linear(192, 3136), nn.ELU(),
                nn.Unflatten(1, (64, 7, 7)),
                Residual(64, 64), Residual(64, 64), Residual(64, 48, "up"),
                Residual(48, 48), Residual(48, 48), Residual(48, 32, "up"),
                nn.ELU(), nn.Conv2d(32, 16, 3, padding=1), nn.ELU(),
            )  # fmt: skip
            self.flow = nn.ModuleList(MADE(number % 2 == 1) for number in range(4))
            self.first = MaskedConv(1, 32, 3, 5, own=0)
            self.condition = nn.Conv2d(16, 32, 1, bias=False)
            self.blocks = nn.ModuleList(Gated() for _ in range(5))
            self.last = nn.Conv2d(32, 1, 1)

        def forward(self, x):
            scaled = (2 * x - 1).contiguous(memory_format=torch.channels_last)
            mean, scale = self.encoder(scaled).float().chunk(2, -1)
            posterior = normal(mean, softplus(scale) + 1e-4)
            code = posterior.rsample()
            maps = self.decoder(code)
            h = self.first(scaled) + self.condition(maps)
            for block in self.blocks:
                h = block(h, maps)
            with torch.autocast("cpu", enabled=False):
                logits = self.last(elu(h).float())
                reconstruction = (x * logits - softplus(logits)).flatten(1).sum(-1)
                noise = code
                for step in self.flow:
                    noise = noise - step(noise)
                prior = normal(0.0, 1.0).log_prob(noise).sum(-1)
                return -(reconstruction + prior - posterior.log_prob(code).sum(-1)).mean()

    return VLAE()


PROGRAMS = {"PyTorch": with_pytorch, "vlae_tf": with_vlae_tf}

if __name__ == "__main__":
    main()

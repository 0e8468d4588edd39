"""Samples per second, prior included: by columns, against the naive sampler and TFP's PixelCNN.

    python benchmarks/sampling.py [ENTRY] [--batches 1 16 64] [--rounds 5] [--no-tfp]

The naive sampler makes a pass of the whole network for each pixel, the wavefront one for each of
its steps; by columns each layer computes only what a step brings. TFP's `tfd.PixelCNN` has about as
many parameters as the entry's decoder network; it samples pixel by pixel. All take turns in one
run. Slow ones run once. At the end, where the time of the columns goes.
"""

import argparse
import itertools
import time

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track
from rich.table import Table

import vlae_tf
from vlae_tf.backend import tfd
from vlae_tf.layers.wavefront.order import Wavefront
from vlae_tf.noise import row_normal, row_uniform


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entry", nargs="?", default="mnist_static")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5, help="of the fast samplers; the median")
    parser.add_argument("--no-tfp", action="store_true", help="leave out tfd.PixelCNN")
    arguments = parser.parse_args()
    console = Console()

    model = vlae_tf.zoo.load(arguments.entry)
    network = model.likelihood_family.network
    height, width, _ = model.image_shape
    front = Wavefront(height, width, network.receptive_field.slope).steps
    steps = {"naive": height * width, "wavefront": front, "columns": front}

    def columns(seeds):
        return model.sample_rows(seeds, tf.ones_like(seeds, tf.float32))[0]

    def passes(slope):
        def sample(seeds):
            code = model.prior().from_noise(row_normal(seeds, (model.latent_dim,)))
            likelihood = model.likelihood(code)
            noise = row_uniform(seeds, model.image_shape, salt=1)
            return Wavefront(height, width, slope).fill(
                lambda images: likelihood.choose(likelihood.parameters_of(images), noise),
                tf.zeros_like(noise),
            )

        return sample

    samplers = {
        "columns": (columns, False),
        "columns, XLA": (columns, True),
        "wavefront": (passes(network.receptive_field.slope), False),
        "naive": (passes(width - 1), False),
    }
    if not arguments.no_tfp:
        samplers["tfd.PixelCNN"] = (tfp_sampler(network.count_params(), model.image_shape), False)
        steps["tfd.PixelCNN"] = height * width

    table = Table("batch", "sampler", "sequential steps", "samples/s", "times the naive sampler")
    for batch in arguments.batches:
        seeds = tf.range(batch)
        compiled = {
            name: tf.function(sampler, jit_compile=xla, autograph=False)
            for name, (sampler, xla) in samplers.items()
        }
        seconds, images = {name: [] for name in compiled}, {}
        for number in track(range(arguments.rounds), f"Batch {batch}"):
            for name, sampler in compiled.items():
                slow = name not in ("columns", "columns, XLA")
                if slow and number:
                    continue
                if slow:
                    # Traced only: it need not run twice.
                    sampler = sampler.get_concrete_function(seeds)
                elif not number:
                    sampler(seeds)
                start = time.perf_counter()
                images[name] = sampler(seeds).numpy()
                seconds[name].append(time.perf_counter() - start)
        for name in ("columns, XLA", "wavefront", "naive"):
            different = np.mean(images[name] != images["columns"])
            if different:
                console.print(f"{different:.2%} of the pixels differ: {name}, columns")
        naive = np.median(seconds["naive"])
        for name, measured in seconds.items():
            middle = np.median(measured)
            table.add_row(
                str(batch),
                name,
                str(steps[name.split(",")[0]]),
                f"{batch / middle:,.1f}",
                f"{naive / middle:,.1f}",
            )
    console.print(table)
    console.print(shares(model, columns, arguments.batches, arguments.rounds))


def shares(model, columns, batches, rounds):
    """A table of how long the parts of drawing by columns take, each by itself."""

    def codes(seeds):
        return model.prior().from_noise(row_normal(seeds, (model.latent_dim,)))

    table = Table("batch", "compiler", "code from the prior", "maps from the code", "pixels", "all")
    for batch, xla in itertools.product(batches, (False, True)):
        seeds = tf.range(batch)
        code = codes(seeds)
        parts = [(codes, seeds), (model.decoder, code), (columns, seeds)]
        compiled = [tf.function(f, jit_compile=xla, autograph=False) for f, _ in parts]
        seconds = [[] for _ in parts]
        for number in range(rounds + 1):
            for function, (_, inputs), measured in zip(compiled, parts, seconds, strict=True):
                start = time.perf_counter()
                function(inputs).numpy()
                if number:  # the first is traced
                    measured.append(time.perf_counter() - start)
        prior, maps, total = (1e3 * np.median(measured) for measured in seconds)
        row = [prior, maps, total - prior - maps, total]
        table.add_row(str(batch), "XLA" if xla else "", *(f"{value:.1f} ms" for value in row))
    return table


def tfp_sampler(parameters, image_shape):
    """A sampler of binary images with the `tfd.PixelCNN` whose size is nearest to `parameters`."""

    def pixelcnn(filters):
        return tfd.PixelCNN(
            image_shape,
            num_resnet=1,
            num_hierarchies=1,
            num_filters=filters,
            num_logistic_mix=1,
            high=1,
            dropout_p=0.0,
            use_weight_norm=False,
        )

    def size(distribution):
        return sum(int(np.prod(v.shape)) for v in distribution.network.trainable_variables)

    sizes = {filters: size(pixelcnn(filters)) for filters in range(8, 65, 4)}
    filters = min(sizes, key=lambda filters: abs(sizes[filters] - parameters))
    print(f"The decoder's network has {parameters:,} parameters, tfd.PixelCNN {sizes[filters]:,}.")
    distribution = pixelcnn(filters)
    return lambda seeds: distribution.sample(seeds.shape[0], seed=0)


if __name__ == "__main__":
    main()

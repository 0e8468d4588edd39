"""How much a row's answer depends on the rows beside it: each image alone, and all in one batch.

    python benchmarks/rows.py [zoo entries] [--images 32]

A row has its own noise, so what differs is rounding: of codes, of log p(x), and of the pixels whose
probability meets their noise within it.
"""

import argparse

import numpy as np

from vlae_tf import zoo
from vlae_tf.seeds import row_seeds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entries", nargs="*", default=["mnist_static", "cifar10_densenet"])
    parser.add_argument("--images", type=int, default=32)
    arguments = parser.parse_args()

    for name in arguments.entries:
        model, images = zoo.load(name), zoo.examples(name)[: arguments.images]
        seeds = row_seeds(0, len(images))
        codes = model.encode(images)

        def together_and_alone(function, *rows):
            alone = [function(*(row[i : i + 1] for row in rows)) for i in range(len(rows[0]))]
            return function(*rows), np.concatenate(alone)

        def log_prob(x, s, model=model):
            return model.log_likelihood(x, importance_samples=4, seed=s)

        batch, single = together_and_alone(model.encode, images)
        print(f"{name}: codes differ by up to {np.abs(batch - single).max():.1e}")
        batch, single = together_and_alone(model.decode, codes, seeds)
        print(f"  {np.count_nonzero(batch != single)} of {batch.size:,} values of pixels differ")
        batch, single = together_and_alone(log_prob, images, seeds)
        largest = np.abs(batch - single).max()
        print(f"  log p(x) differs by up to {largest:.1e} of {-batch.min():,.0f} nats")


if __name__ == "__main__":
    main()

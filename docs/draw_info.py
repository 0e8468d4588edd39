"""Draws docs/relatives/info.png and info_2.png: draws of the prior, and of the Markov chain.

python -m docs.draw_info RUNS

RUNS is the folder in which the runs of the eight recipes lie.
"""

import sys
from pathlib import Path

import numpy as np

from vlae_tf.evaluation import plot_rows
from vlae_tf.runs import load_run

COLUMNS, STEPS = 10, 8
CRITERIA = {"ELBO": "_elbo", "KL / 10": "_light", "MMD": "", "no KL": "_none"}


def main(runs):
    for code in ("", "_2"):
        models = {
            criterion: load_run(Path(runs) / f"mnist_static_info{code}{ending}")
            for criterion, ending in CRITERIA.items()
        }
        rows = {f"{name}: prior": model.sample(COLUMNS, seed=0) for name, model in models.items()}
        for name, model in models.items():
            pixels = np.random.default_rng(0).integers(2, size=(COLUMNS, *model.image_shape))
            rows[f"{name}: chain"] = model.gibbs(pixels.astype("uint8"), STEPS, seed=0)[-1]
        plot_rows(rows, Path(__file__).parent / "relatives" / f"info{code}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])

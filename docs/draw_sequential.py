"""Draws docs/relatives/OUT: what each step of a chain makes of its part of the code.

python -m docs.draw_sequential RUN ONE_STEP_RUN OUT
"""

import sys
from pathlib import Path

import numpy as np
from keras import ops

from vlae_tf.evaluation import plot_rows
from vlae_tf.runs import load_run

COLUMNS, DRAWS = 16, 64


def main(run, control, out):
    """New images, the mean of each pixel: from the same code by steps, and of the control."""
    model, one_step = load_run(run), load_run(control)
    rows = {f"step {t + 1}": means for t, means in enumerate(steps(model, codes(model)))}
    rows["drawn from step 4"] = model.decode(codes(model), seed=0)
    (rows["one step"],) = steps(one_step, codes(one_step))
    rows["drawn from it"] = one_step.decode(codes(one_step), seed=0)
    plot_rows(rows, Path(__file__).parent / "relatives" / out)


def codes(model):
    return np.random.default_rng(0).normal(size=(COLUMNS, model.latent_dim)).astype("float32")


def steps(model, code):
    """The mean of each pixel after each step."""
    likelihoods = (model.likelihood_family.distribution(maps) for maps in model.decoder.chain(code))
    return [mean(likelihood, model.levels) for likelihood in likelihoods]


def mean(likelihood, levels):
    if levels == 2:
        return ops.convert_to_numpy(likelihood.mean())
    # Colours of a mixture depend on each other: no formula, the mean of draws.
    draws = ops.convert_to_numpy(likelihood.sample(DRAWS, seed=0))
    return np.mean(draws, axis=0).round().astype("uint8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A search as a whole: from a recipe and choices to a report."""

import contextlib
import dataclasses
import json
import os
import pathlib
import threading
import time
import uuid

from vlae_tf.files import write_text
from vlae_tf.runs.data import split_images, training_images
from vlae_tf.tuning.recipe_tuner import LEASE_S, RecipeTuner, TimeIsUp
from vlae_tf.tuning.report import write_report
from vlae_tf.tuning.search_objective import SearchObjective
from vlae_tf.tuning.search_oracle import BayesianOracle, GridOracle, RandomOracle
from vlae_tf.tuning.search_results import SearchResults
from vlae_tf.tuning.search_space import SearchSpace
from vlae_tf.tuning.trial_result import TrialResult

_ORACLES = {"grid": GridOracle, "random": RandomOracle, "bayesian": BayesianOracle}


def tune(
    recipe,
    choices,
    out,
    objective="nll",
    max_code_bits=None,
    algorithm="grid",
    max_trials=None,
    max_minutes=None,
    epochs=None,
    importance_samples=16,
    num_images=1000,
    seed=0,
    data_dir=None,
    verbose="auto",
    say=print,
    command=None,
    chief=None,
    worker=False,
):
    """Search over fields of a recipe, or go on with a search that was interrupted.

    Each trial is a run of the recipe on the "train" split, measured on images of "validation";
    the test split is never read. `out` then holds a run for each trial in `trials`, `trials.csv`,
    `curves.png`, `reconstructions.png`, `report.html` (one file with all of that), and
    `best_recipe.json`: `recipe` itself, with its own splits and epochs, and the best values.

    Args:
        recipe: a `Recipe`.
        choices: dict of a field's path to the values to try; see `SearchSpace`.
        out: folder of the search.
        objective: "nll", "elbo", "bits_per_dim" or "rate_distortion"; see `SearchObjective`.
        max_code_bits: limit of "rate_distortion".
        algorithm: "grid" for every combination in order, "random", or "bayesian" (which needs
            scikit-learn). For others use `VLAEHyperModel` with a tuner of keras-tuner.
        max_trials: at most so many; with "grid" all combinations unless given, otherwise 10.
        max_minutes: no epoch begins later than this after the call; a trial that is not done goes
            on when the search does. Of a chief: no trial begins later.
        epochs: of each trial; the recipe's own unless given.
        importance_samples: K of the nll.
        num_images: validation images, drawn at random, on which trials are compared.
        seed: of the choices of "random" and "bayesian" and of the evaluation.
        data_dir: where TFDS keeps its data.
        verbose: of `fit`.
        say: called with a line of text when a trial begins or ends.
        command: the command line, for the record.
        chief: "host:port" where one process, the chief, hands the trials out to workers. The folder
            must be the same for all, or pictures of the trials will be missing.
        worker: ask the chief at that address for trials, in the place of being it.

    Returns:
        The `SearchResults`, also of an unfinished search; None for a worker.

    Raises:
        ValueError: before any trial, for what cannot be searched: see `SearchSpace`,
            `SearchObjective`, images that do not fit the model, a folder with another search.

    Example:
        >>> from vlae_tf.runs import Recipe
        >>> from vlae_tf.tuning import tune
        >>> results = tune(
        ...     Recipe.load("mnist_static"), {"model.latent_dim": [4, 16]}, "tune", epochs=2
        ... )  # doctest: +SKIP
    """
    out = pathlib.Path(out)
    objective = SearchObjective(objective, max_code_bits)
    for name, value in {
        "max_trials": max_trials,
        "max_minutes": max_minutes,
        "importance_samples": importance_samples,
        "num_images": num_images,
    }.items():
        if value is not None and not value > 0:
            raise ValueError(f"`{name}` must be positive. Received: {name}={value!r}")
    if algorithm not in _ORACLES:
        raise ValueError(
            f"`algorithm` must be one of {', '.join(_ORACLES)}. Received: algorithm={algorithm!r}"
        )
    trial_recipe = dataclasses.replace(
        recipe,
        train_split="train",
        # Measured at the end, with many samples: to do so after each epoch would cost time only.
        validation_split=None,
        epochs=recipe.epochs if epochs is None else epochs,
    )
    space = SearchSpace(trial_recipe, choices)
    held_out = _check_data(space, data_dir)
    evaluation = {
        "importance_samples": importance_samples,
        "num_images": min(num_images, held_out),
        "seed": seed,
        "dtype": trial_recipe.dtype,
    }
    settings = {
        "recipe": json.loads(trial_recipe.to_json()),
        "choices": space.choices,
        "objective": dataclasses.asdict(objective),
        "algorithm": algorithm,
        "evaluation": evaluation,
    }
    with _role(chief, worker) as role:
        if role != "worker":
            _check_folder(out, settings)
        oracle = _ORACLES[algorithm](
            objective=objective.keras_tuner_objective,
            hyperparameters=space.hyper_parameters(),
            max_trials=max_trials or (None if algorithm == "grid" else 10),
            allow_new_entries=False,
            seed=seed + 1,  # keras-tuner takes 0 for none
            max_consecutive_failed_trials=None,
            lease_s=LEASE_S if role == "chief" else None,
        )
        oracle.verbose = 0  # the tuner says what a reader needs
        tuner = RecipeTuner(
            oracle, space, objective, out, evaluation, data_dir, verbose, say, command
        )
        if max_minutes is not None:
            oracle.deadline = time.monotonic() + 60 * max_minutes
        with _watching(oracle), contextlib.suppress(TimeIsUp):
            tuner.search()
    if role == "worker":
        return None
    results = SearchResults(
        (
            TrialResult.of(trial, pathlib.Path(tuner.get_trial_dir(trial_id)), space)
            for trial_id, trial in sorted(oracle.trials.items(), key=_number)
        ),
        space,
        objective,
    )
    write_report(out, recipe, results, settings, command, data_dir)
    return results


def _number(item):
    return int(item[0])


def _check_data(space, data_dir):
    """The number of validation images; raises if images and model do not fit."""
    images = training_images(space.base, data_dir)
    held_out = split_images(space.base, "validation", data_dir=data_dir)
    space.recipe({path: values[0] for path, values in space.choices.items()}).build_model(
        images.shape[1:]
    )
    return len(held_out)


def _check_folder(out, settings):
    """A folder with the record of this search; that of another one is left alone."""
    path = out / "search.json"
    if path.exists():
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
            different = [key for key in settings if written.get(key) != settings[key]]
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{path} must be the record of a search. Received: {error}") from error
        if different:
            raise ValueError(
                "`out` must be a new folder or one with the same search. Received: "
                f"out={str(out)!r}, whose search differs in {', '.join(different)}"
            )
        return
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(settings, indent=2) + "\n")


# === Chief and workers ===


@contextlib.contextmanager
def _role(chief, worker):
    """Within it, keras-tuner finds the addresses it reads from the environment."""
    if chief is None:
        if worker:
            raise ValueError("`worker` needs the address of its `chief`. Received: chief=None")
        names = {}
    else:
        host, _, port = chief.rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 2**16):
            raise ValueError(
                f"`chief` must be host:port, with a port from 1 to 65535. Received: chief={chief!r}"
            )
        names = {
            "KERASTUNER_ORACLE_IP": host,
            "KERASTUNER_ORACLE_PORT": port,
            # To keras-tuner, whoever has "chief" in the name is it.
            "KERASTUNER_TUNER_ID": f"worker-{uuid.uuid4().hex}" if worker else "chief",
        }
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        if "KERASTUNER_ORACLE_IP" in os.environ:
            is_chief = "chief" in os.environ.get("KERASTUNER_TUNER_ID", "")
            yield "chief" if is_chief else "worker"
        else:
            yield "alone"
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _watching(oracle):
    """Within it, a chief notices workers that died, though nobody asks it for a trial."""
    if oracle.lease_s is None:
        yield
        return
    ended = threading.Event()

    def watch():
        while not ended.wait(oracle.lease_s / 4):
            oracle.give_up_the_silent()

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

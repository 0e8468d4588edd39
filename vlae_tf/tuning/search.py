"""A search as a whole: from a recipe and choices to a report."""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

from vlae_tf.checks import check_choice, check_integer, check_no_file, check_number, refuse
from vlae_tf.files import PathLike, locked, read_json, write_text
from vlae_tf.runs import Recipe, RunData
from vlae_tf.runs.data import split_images
from vlae_tf.tuning.recipe_tuner import RecipeTuner, TimeIsUp
from vlae_tf.tuning.report import write_report
from vlae_tf.tuning.search_objective import SearchObjective
from vlae_tf.tuning.search_oracle import BayesianOracle, GridOracle, RandomOracle
from vlae_tf.tuning.search_results import SearchResults
from vlae_tf.tuning.search_space import SearchSpace
from vlae_tf.tuning.trial_result import TrialResult

_ORACLES = {"grid": GridOracle, "random": RandomOracle, "bayesian": BayesianOracle}
# What keras-tuner reads, in a process that is a chief or a worker.
_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


def tune(
    recipe: Recipe,
    choices: Mapping[str, Sequence],
    out: PathLike,
    objective: str = "nll",
    max_code_bits: float | None = None,
    algorithm: str = "grid",
    max_trials: int | None = None,
    max_minutes: float | None = None,
    epochs: int | None = None,
    importance_samples: int = 16,
    num_images: int = 1000,
    seed: int = 0,
    data_dir: PathLike | None = None,
    verbose: str | int = "auto",
    say: Callable[[str], object] = print,
    command: str | None = None,
) -> SearchResults | None:
    """Search over fields of a recipe, or continue a search that was interrupted.

    Each trial is a run of the recipe on the "train" split, measured on images of "validation";
    the test split is never read. `out` then holds a run for each trial in `trials`, `trials.csv`,
    `curves.png`, `reconstructions.png`, `report.html` (one file with all of that), and
    `best_recipe.json`: `recipe` itself, with its own splits and epochs, and the best values.

    Several processes can share a search by keras-tuner's environment variables: the one whose
    KERASTUNER_TUNER_ID is "chief" hands the trials out at KERASTUNER_ORACLE_IP and
    KERASTUNER_ORACLE_PORT; the others are workers, each with a name of its own, and run the same
    call in the same folder. The chief waits for its workers: a worker that died continues its trial
    when it is started again under its name. To give the trial to another worker, stop all processes
    and start them again.

    Args:
        recipe: `Recipe` to begin with.
        choices: dict of a field's path to the values to try; see `SearchSpace`.
        out: folder of the search.
        objective: "nll", "elbo", "bits_per_dim" or "rate_distortion"; see `SearchObjective`.
        max_code_bits: limit of "rate_distortion" in bits.
        algorithm: "grid" for every combination in order, "random", or "bayesian" (which needs
            scikit-learn). For others use `RecipeHyperModel` with a tuner of keras-tuner.
        max_trials: largest number of trials; None for all combinations of "grid", 10 of others.
        max_minutes: time limit in minutes: no epoch begins later. An unfinished trial continues
            when the search does. A chief has none.
        epochs: epochs of each trial; None for the recipe's own.
        importance_samples: number of samples K of the nll.
        num_images: number of validation images, drawn at random, on which trials are compared.
        seed: seed of the evaluation and of the choices of "random" and "bayesian".
        data_dir: folder where TFDS keeps its data.
        verbose: as for `fit`.
        say: function that is given a line of text when a trial begins or ends.
        command: command line, for the record.

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
    check_no_file(out, "out")
    objective = SearchObjective(objective, max_code_bits)
    check_choice(algorithm, "algorithm", list(_ORACLES))
    check_integer(importance_samples, "importance_samples", least=1)
    check_integer(num_images, "num_images", least=1)
    if max_trials is not None:
        check_integer(max_trials, "max_trials", least=1)
    if max_minutes is not None:
        check_number(max_minutes, "max_minutes", above=0)
    role = _role()
    if role == "chief" and max_minutes is not None:
        refuse("max_minutes", "None for a chief, which waits for its workers", max_minutes)
    trial_recipe = recipe.replace(
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
    _check_folder(out, settings, write=role != "worker")
    with contextlib.ExitStack() as held:
        # Workers share the folder with their chief.
        if role != "worker" and not held.enter_context(locked(out)):
            refuse("out", "a folder in which no other process searches", str(out))
        oracle = _ORACLES[algorithm](
            objective=objective.keras_tuner_objective,
            hyperparameters=space.hyper_parameters(),
            max_trials=max_trials or (None if algorithm == "grid" else 10),
            allow_new_entries=False,
            seed=seed + 1,  # keras-tuner takes 0 for none
            max_consecutive_failed_trials=None,
        )
        oracle.verbose = 0  # the tuner says what a reader needs
        tuner = RecipeTuner(
            oracle, space, objective, out, evaluation, max_minutes, data_dir, verbose, say, command
        )
        with contextlib.suppress(TimeIsUp):
            tuner.search()
        if role == "worker":
            return None
        trials = [
            TrialResult.of(trial, pathlib.Path(tuner.get_trial_dir(number)), space)
            for number, trial in sorted(oracle.trials.items(), key=lambda item: int(item[0]))
        ]
        results = SearchResults(trials, space, objective)
        write_report(out, recipe, results, settings, command, data_dir)
        return results


def _role():
    """ "chief", "worker", or None for a search in one process."""
    if not any(name in os.environ for name in _VARIABLES):
        return None
    if missing := [name for name in _VARIABLES if not os.environ.get(name)]:
        raise ValueError(
            f"A chief and its workers need the environment variables {', '.join(_VARIABLES)}. "
            f"Received: no {', '.join(missing)}"
        )
    # To keras-tuner, whoever has "chief" in the name is it.
    return "chief" if "chief" in os.environ["KERASTUNER_TUNER_ID"] else "worker"


def _check_data(space, data_dir):
    """The number of validation images; raises if images and model do not fit."""
    image_shape = RunData(space.base, data_dir).image_shape
    held_out = split_images(space.base, "validation", data_dir=data_dir)
    first = {path: values[0] for path, values in space.choices.items()}
    space.recipe(first).build_model(image_shape)
    return len(held_out)


def _check_folder(out, settings, write):
    """Raises if the folder holds the record of another search; writes this one's if there is none.

    A worker does not write: two processes would use the same temporary name.
    """
    path = out / "search.json"
    if not path.exists():
        if write:
            out.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(settings, indent=2) + "\n")
        return
    written = read_json(path, "the record of a search")
    different = [key for key in settings if written.get(key) != settings[key]]
    if different:
        shown = f"out={str(out)!r}, whose search differs in {', '.join(different)}"
        refuse("out", "a new folder or one with the same search", out, received=shown)

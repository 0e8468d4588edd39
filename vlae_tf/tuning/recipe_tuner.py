import math
import pathlib
import time
import traceback

import keras
import keras_tuner

from vlae_tf.evaluation import evaluate_run
from vlae_tf.files import write_text
from vlae_tf.training import train


class RecipeTuner(keras_tuner.Tuner):
    """A tuner whose trials are runs: each is trained and evaluated as the commands would do it.

    A trial's folder holds all that `vlae_tf.training.train` and `vlae_tf.evaluation.evaluate_run`
    write, so that a killed trial continues from its last epoch, and
    `vlae-tf sample DIR/trials/trial_0` draws from it. The folder of a failed trial holds
    `error.txt`.

    With keras-tuner's own chief and workers the trial of a worker that died is not lost: the chief
    keeps it for that worker, started again under its name, and gives it to any worker after a
    restart of its own.

    Args:
        oracle: `SearchOracle` with the hyperparameters of `space`.
        space: `SearchSpace` over a recipe with a "validation" split to measure on.
        objective: `SearchObjective`, the same as the oracle's.
        directory: folder of the search; trials are kept in `directory`/trials.
        evaluation: further arguments of `evaluate_run`.
        max_minutes: time limit in minutes; then `TimeIsUp` ends the search, within a trial too.
        data_dir: folder where TFDS keeps its data.
        verbose: as for `fit`.
        say: function that is given a line of text when a trial begins or ends.
        command: command line, for the record.
    """

    def __init__(
        self,
        oracle,
        space,
        objective,
        directory,
        evaluation=None,
        max_minutes=None,
        data_dir=None,
        verbose="auto",
        say=print,
        command=None,
    ):
        self.space = space
        self.objective = objective
        self.evaluation = evaluation or {}
        self.deadline = time.monotonic() + 60 * (math.inf if max_minutes is None else max_minutes)
        self.data_dir = data_dir
        self.verbose = verbose
        self.say = say
        self.command = command
        super().__init__(oracle, directory=str(directory), project_name="trials")
        # keras-tuner continues a search only where it finds this file, and writes it first at the
        # end of a trial.
        self.save()

    def _get_tuner_fname(self):
        # One name, so that a search begun alone can continue with a chief.
        name = self.tuner_id if self._is_worker() else "tuner"
        return str(pathlib.Path(self.project_dir) / f"{name}.json")

    def pre_create_trial(self):
        self._check_time()

    def run_trial(self, trial):
        folder = pathlib.Path(self.get_trial_dir(trial.trial_id))
        values = self.space.values(trial.hyperparameters)
        self.say(f"Trial {trial.trial_id}: {', '.join(f'{k} = {v}' for k, v in values.items())}")
        try:
            figures = self._figures(self.space.recipe(values), folder)
            score = self.objective.score(figures)
            # keras-tuner would take an infinite score for the best one.
            if not math.isfinite(score):
                raise FloatingPointError(f"the score is not finite: {score}")
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            # The message of a trial does not travel from a worker to its chief.
            write_text(folder / "error.txt", "".join(traceback.format_exception(error)))
            reason = f"{type(error).__name__}: {error}"
            self.say(f"Trial {trial.trial_id} failed: {reason}")
            raise keras_tuner.errors.FailedTrialError(reason) from error
        nll, bits = figures["nll"], figures["code_bits"]
        self.say(f"Trial {trial.trial_id}: NLL {nll:.2f} nats, code {bits:.1f} bits")
        return {**figures, self.objective.name: score}

    def _figures(self, recipe, folder):
        """What `evaluate_run` measures of the trained recipe."""
        keras.backend.clear_session()  # a model of an earlier trial would stay in memory
        epoch_ends = keras.callbacks.LambdaCallback(
            # The last epoch is followed by the evaluation, which belongs to the trial.
            on_epoch_end=lambda epoch, logs: epoch + 1 < recipe.epochs and self._check_time()
        )
        shared = {"data_dir": self.data_dir, "command": self.command}
        train(recipe, folder, callbacks=[epoch_ends], verbose=self.verbose, **shared)
        metrics = evaluate_run(folder, split="validation", **shared, **self.evaluation)
        block = metrics["likelihood"][0]
        return {name: value for name, value in block.items() if isinstance(value, (int, float))}

    def _check_time(self):
        if time.monotonic() > self.deadline:
            raise TimeIsUp("The time of the search is up.")


class TimeIsUp(keras_tuner.errors.FatalError):
    """The end of a search's time: no failure of the trial, which continues when the search does."""

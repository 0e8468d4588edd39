import contextlib
import pathlib
import threading
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
    write, so that a trial killed in the middle goes on from its last epoch, and
    `vlae-tf sample DIR/trials/trial_0` draws from it. A failed one holds `error.txt`.

    Args:
        oracle: a `SearchOracle`, with the hyperparameters of `space`.
        space: a `SearchSpace` over a recipe with a "validation" split to measure on.
        objective: a `SearchObjective`, as the oracle has it.
        directory: trials are kept in `directory`/trials.
        evaluation: further arguments of `evaluate_run`.
        data_dir: where TFDS keeps its data.
        verbose: of `fit`.
        say: called with a line of text when a trial begins or ends.
        command: the command line, for the record.

    Example:
        >>> from vlae_tf.tuning import RecipeTuner
        >>> RecipeTuner.trials_folder("tune")
        PosixPath('tune/trials')
    """

    def __init__(
        self,
        oracle,
        space,
        objective,
        directory,
        evaluation=None,
        data_dir=None,
        verbose="auto",
        say=print,
        command=None,
    ):
        self.space = space
        self.objective = objective
        self.evaluation = evaluation or {}
        self.data_dir = data_dir
        self.verbose = verbose
        self.say = say
        self.command = command
        folder = self.trials_folder(directory)
        super().__init__(oracle, directory=str(directory), project_name=folder.name)
        self._asked_in_vain = False
        # keras-tuner goes on with a search only where it finds this file, and writes it first at
        # the end of a trial.
        self.save()

    @staticmethod
    def trials_folder(directory):
        return pathlib.Path(directory) / "trials"

    def _get_tuner_fname(self):
        # One name, whether the search goes on alone or as a chief.
        name = self.tuner_id if self._is_worker() else "tuner"
        return str(pathlib.Path(self.project_dir) / f"{name}.json")

    def run_trial(self, trial):
        folder = pathlib.Path(self.get_trial_dir(trial.trial_id))
        recipe = self.space.recipe(self.space.values(trial.hyperparameters))
        # A model of an earlier trial would stay in memory.
        keras.backend.clear_session()
        try:
            with self._reporting(trial.trial_id):
                train(
                    recipe,
                    folder,
                    callbacks=[Deadline(self.oracle)],
                    data_dir=self.data_dir,
                    verbose=self.verbose,
                    command=self.command,
                )
                metrics = evaluate_run(
                    folder,
                    split="validation",
                    data_dir=self.data_dir,
                    command=self.command,
                    **self.evaluation,
                )
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            # The message of a trial does not travel from a worker to its chief.
            write_text(folder / "error.txt", "".join(traceback.format_exception(error)))
            raise keras_tuner.errors.FailedTrialError(f"{type(error).__name__}: {error}") from error
        (folder / "error.txt").unlink(missing_ok=True)
        figures = {k: v for k, v in metrics["likelihood"][0].items() if isinstance(v, (int, float))}
        return {**figures, self.objective.name: self.objective.score(figures)}

    def pre_create_trial(self):
        if self._asked_in_vain:
            time.sleep(1)  # the chief has no trial yet, and would be asked without a pause
        self._asked_in_vain = True

    def on_trial_begin(self, trial):
        self._asked_in_vain = False
        values = self.space.values(trial.hyperparameters)
        self.say(f"Trial {trial.trial_id}: {', '.join(f'{k} = {v}' for k, v in values.items())}")

    def on_trial_end(self, trial):
        failed = trial.status != "COMPLETED"
        super().on_trial_end(trial)
        if failed:
            reason = (trial.message or "").strip().splitlines() or ["no reason given"]
            self.say(f"Trial {trial.trial_id} failed: {reason[-1]}")
            return
        metrics = self.oracle.get_trial(trial.trial_id).metrics
        nll, bits = (metrics.get_last_value(name) for name in ("nll", "code_bits"))
        self.say(f"Trial {trial.trial_id}: NLL {nll:.2f} nats, code {bits:.1f} bits")

    @contextlib.contextmanager
    def _reporting(self, trial_id):
        """Within it, a chief hears every few seconds that the trial goes on."""
        if not self._is_worker():
            yield
            return
        ended = threading.Event()

        def report():
            while not ended.wait(REPORT_S):
                self.oracle.get_trial(trial_id)

        thread = threading.Thread(target=report, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


# A worker reports this often; it is taken for dead when it was not heard for so long.
REPORT_S, LEASE_S = 5, 60


class Deadline(keras.callbacks.Callback):
    """Ends a trial at the end of an epoch, after its checkpoint, when the search's time is up."""

    def __init__(self, oracle):
        super().__init__()
        self.deadline = getattr(oracle, "deadline", None)

    def on_epoch_end(self, epoch, logs=None):
        last = epoch + 1 == self.params["epochs"]
        if not last and self.deadline is not None and time.monotonic() > self.deadline:
            raise TimeIsUp("The time of the search is up.")


class TimeIsUp(keras_tuner.errors.FatalError):
    """Not a failure of the trial: it goes on when the search does."""

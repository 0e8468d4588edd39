import itertools
import pathlib
import time

import keras_tuner
from keras_tuner.engine import trial as trials

from vlae_tf.files import whole


class SearchOracle(keras_tuner.Oracle):
    """What the oracles of a search add to keras-tuner's own: nothing is lost, nothing runs twice.

    - Its files are written whole or not at all, so that a kill at any moment leaves a search that
      goes on.
    - When the time is up, no further trial begins.
    - A worker that is silent for `lease_s` seconds has died: its trial is given to another one.
      While a trial runs elsewhere, idle workers wait, for they may have to take it over. The
      answer of a worker that comes back after all does not count twice.

    Args:
        lease_s: seconds after which a silent worker is taken for dead; None where the search has no
            workers.
        **kwargs: of the keras-tuner oracle beside it.
    """

    def __init__(self, lease_s=None, **kwargs):
        super().__init__(**kwargs)
        self.lease_s = lease_s
        self.deadline = None  # on the clock of time.monotonic
        self._trial_seen, self._worker_seen = {}, {}

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        self._worker_seen[tuner_id] = time.monotonic()
        self.give_up_the_silent()
        if self.deadline is not None and time.monotonic() > self.deadline:
            self.tuner_ids.discard(tuner_id)
            return self._no_trial(trials.TrialStatus.STOPPED)
        trial = super().create_trial(tuner_id)
        self._trial_seen[trial.trial_id] = time.monotonic()
        if trial.status == trials.TrialStatus.STOPPED and self.ongoing_trials:
            self.tuner_ids.add(tuner_id)
            return self._no_trial(trials.TrialStatus.IDLE)
        return trial

    def get_trial(self, trial_id):
        self._trial_seen[trial_id] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def end_trial(self, trial):
        if any(ongoing.trial_id == trial.trial_id for ongoing in self.ongoing_trials.values()):
            super().end_trial(trial)

    @keras_tuner.synchronized
    def give_up_the_silent(self):
        """Take back the trials of workers that no longer report, and forget the workers."""
        if self.lease_s is None:
            return
        last = time.monotonic() - self.lease_s
        for tuner_id in list(self.tuner_ids | self.ongoing_trials.keys()):
            trial = self.ongoing_trials.get(tuner_id)
            seen = [self._worker_seen.setdefault(tuner_id, time.monotonic())]
            if trial is not None:
                seen.append(self._trial_seen.get(trial.trial_id, 0.0))
            if max(seen) < last:
                self.tuner_ids.discard(tuner_id)
                if self.ongoing_trials.pop(tuner_id, None) is not None:
                    self._retry_queue.append(trial.trial_id)
                    self.save()

    def reload(self):
        super().reload()
        # keras-tuner writes that a trial has ended while it still counts it among the ongoing ones,
        # which it would run again.
        self._retry_queue = [name for name in self._retry_queue if name not in self.end_order]

    def save(self):
        with whole(pathlib.Path(self._get_oracle_fname())) as path:
            # Past keras-tuner's `Oracle.save`, which writes to the name itself.
            super(keras_tuner.Oracle, self).save(str(path))

    def _save_trial(self, trial):
        with whole(pathlib.Path(self._get_trial_dir(trial.trial_id)) / "trial.json") as path:
            trial.save(str(path))

    def _no_trial(self, status):
        return trials.Trial(hyperparameters=self.get_space(), trial_id="none", status=status)


class GridOracle(SearchOracle):
    """Every combination, in order; goes on after an interruption, as keras-tuner's own does not."""

    def populate_space(self, trial_id):
        space = self.get_space().space
        for combination in itertools.product(*(parameter.values for parameter in space)):
            values = dict(zip((parameter.name for parameter in space), combination, strict=True))
            if not self._duplicate(values):
                return {"status": trials.TrialStatus.RUNNING, "values": values}
        return {"status": trials.TrialStatus.STOPPED, "values": None}


class RandomOracle(SearchOracle, keras_tuner.oracles.RandomSearchOracle):
    """Combinations at random, none twice."""


class BayesianOracle(SearchOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Combinations where a Gaussian process expects improvement, none twice.

    A run repeats itself to the last bit, so that trying a combination again would tell nothing:
    where the process asks for that, a new one is drawn at random.
    """

    def populate_space(self, trial_id):
        response = super().populate_space(trial_id)
        if response["status"] != trials.TrialStatus.RUNNING:
            return response
        values = response["values"]
        if self._duplicate(values):
            values = self._random_values()
        if values is None:
            return {"status": trials.TrialStatus.STOPPED, "values": None}
        return {"status": trials.TrialStatus.RUNNING, "values": values}

"""Oracles of keras-tuner for searches that continue after a kill at any moment."""

import itertools
import pathlib

import keras_tuner
from keras_tuner.engine.trial import TrialStatus

from vlae_tf.files import whole


class SearchOracle(keras_tuner.Oracle):
    """keras-tuner's oracle with a record that a kill cannot damage.

    keras-tuner writes to its files themselves, and a trial's file before the list of trials; so
    here files are written whole or not at all, and a restart trusts the trials' files alone.
    """

    def reload(self):
        super().reload()
        ended = (TrialStatus.COMPLETED, TrialStatus.FAILED)
        self._retry_queue = [i for i, trial in self.trials.items() if trial.status not in ended]
        for trial in self.trials.values():
            self._record_values(trial)

    def save(self):
        with whole(pathlib.Path(self._get_oracle_fname())) as path:
            # Past keras-tuner's `Oracle.save`, which writes to the name itself.
            super(keras_tuner.Oracle, self).save(str(path))

    def _save_trial(self, trial):
        with whole(pathlib.Path(self._get_trial_dir(trial.trial_id)) / "trial.json") as path:
            trial.save(str(path))


class GridOracle(SearchOracle):
    """Every combination, in order; keras-tuner's own forgets its place after an interruption."""

    def populate_space(self, trial_id):
        space = self.get_space().space
        for combination in itertools.product(*(parameter.values for parameter in space)):
            values = dict(zip((parameter.name for parameter in space), combination, strict=True))
            if not self._duplicate(values):
                return {"status": TrialStatus.RUNNING, "values": values}
        return {"status": TrialStatus.STOPPED, "values": None}


class RandomOracle(SearchOracle, keras_tuner.oracles.RandomSearchOracle):
    """Combinations at random, none twice."""


class BayesianOracle(SearchOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Combinations where a Gaussian process expects improvement, none twice.

    The same combination gives the same result to the last bit; where the process asks for one that
    was tried, another is drawn at random.
    """

    def populate_space(self, trial_id):
        response = super().populate_space(trial_id)
        if response["status"] != TrialStatus.RUNNING or not self._duplicate(response["values"]):
            return response
        values = self._random_values()
        status = TrialStatus.STOPPED if values is None else TrialStatus.RUNNING
        return {"status": status, "values": values}

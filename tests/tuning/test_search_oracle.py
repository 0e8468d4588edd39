"""Oracles: every combination once, whoever dies when."""

import json
import os

import keras_tuner
import pytest

from vlae_tf.tuning.search_oracle import BayesianOracle, GridOracle, RandomOracle

pytestmark = pytest.mark.slow

ORACLES = [GridOracle, RandomOracle]


@pytest.fixture
def make(tmp_path):
    """Makes an oracle over 2 x 3 combinations, which continues what is in its folder."""

    def make(cls=GridOracle, **arguments):
        space = keras_tuner.HyperParameters()
        space.Choice("size", [1, 2])
        space.Choice("rate", [0.1, 0.2, 0.3])
        oracle = cls(
            objective=keras_tuner.Objective("nll", "min"),
            hyperparameters=space,
            allow_new_entries=False,
            seed=1,
            max_consecutive_failed_trials=None,
            **{"max_trials": 6} | arguments,
        )
        oracle.verbose = 0
        oracle._set_project_dir(str(tmp_path), "trials")
        if (tmp_path / "trials" / "oracle.json").exists():
            oracle.reload()
        return oracle

    return make


def end(oracle, trial, nll=1.0):
    """A worker's answer, as it comes through keras-tuner's messages."""
    oracle.update_trial(trial.trial_id, {"nll": nll})
    trial = type(trial).from_proto(trial.to_proto())
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def run_to_the_end(oracle, tuner_id="a"):
    while (trial := oracle.create_trial(tuner_id)).status == "RUNNING":
        end(oracle, trial)
    assert trial.status == "STOPPED"


def combinations(oracle):
    return [tuple(trial.hyperparameters.values.values()) for trial in oracle.trials.values()]


@pytest.mark.parametrize("cls", ORACLES)
def test_every_combination_comes_once(make, cls):
    oracle = make(cls)
    run_to_the_end(oracle)
    found = combinations(oracle)
    assert len(found) == 6 == len(set(found))
    if cls is GridOracle:
        assert found == [(size, rate) for size in (1, 2) for rate in (0.1, 0.2, 0.3)]


@pytest.mark.parametrize("cls", ORACLES)
@pytest.mark.parametrize("ended", [True, False], ids=["between_trials", "in_a_trial"])
def test_restarted_search_continues(make, cls, ended):
    oracle = make(cls)
    for _ in range(3):
        trial = oracle.create_trial("a")
        if ended or trial.trial_id != "2":
            end(oracle, trial)
    again = make(cls)
    trial = again.create_trial("b")
    assert (trial.trial_id == "2") == (not ended)
    end(again, trial)
    run_to_the_end(again, "b")
    assert len(combinations(again)) == 6 == len(set(combinations(again)))


def test_max_trials_bounds_the_search_and_may_be_raised(make):
    oracle = make(max_trials=2)
    run_to_the_end(oracle)
    assert len(oracle.trials) == 2
    assert make(max_trials=3).create_trial("a").status == "RUNNING"


def test_bayesian_search_tries_nothing_twice(make):
    oracle = make(BayesianOracle, num_initial_points=2)
    while (trial := oracle.create_trial("a")).status == "RUNNING":
        end(oracle, trial, nll=trial.hyperparameters.values["rate"])
    assert len(set(combinations(oracle))) == len(combinations(oracle)) > 4


# === Kills ===


def killed(*_):
    raise KeyboardInterrupt


def test_files_are_whole_or_absent(make, tmp_path, monkeypatch):
    oracle = make()
    oracle.create_trial("a")
    path = tmp_path / "trials" / "oracle.json"
    before = path.read_text()
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        oracle.save()
    assert path.read_text() == before and json.loads(before)["start_order"] == ["0"]


@pytest.mark.parametrize("when", ["begins", "ends"])
def test_kill_between_the_files_of_a_trial_and_of_the_search(make, monkeypatch, when):
    oracle = make()
    end(oracle, oracle.create_trial("a"))
    with monkeypatch.context() as patch:
        if when == "begins":
            patch.setattr(oracle, "save", killed)
        trial = None
        with pytest.raises(KeyboardInterrupt):
            trial = oracle.create_trial("a")
            patch.setattr(oracle, "save", killed)
            end(oracle, trial)
    again = make()
    following = again.create_trial("b")
    assert following.trial_id == ("1" if when == "begins" else "2")
    end(again, following)
    run_to_the_end(again, "b")
    assert {trial.status for trial in again.trials.values()} == {"COMPLETED"}
    assert len(combinations(again)) == 6 == len(set(combinations(again)))


# === Workers that die ===


def test_trial_of_a_dead_worker_waits_for_it_and_goes_to_another_after_a_restart(make):
    oracle = make(max_trials=2)
    lost = oracle.create_trial("dead")
    run_to_the_end(oracle, "alive")
    assert oracle.end_order == ["1"], "nobody else gets it"
    assert oracle.create_trial("dead").trial_id == lost.trial_id, "started again under its name"

    again = make(max_trials=2)
    trial = again.create_trial("alive")
    assert trial.trial_id == lost.trial_id
    end(again, trial)
    assert again.create_trial("alive").status == "STOPPED"
    assert not again.ongoing_trials and not again.tuner_ids
    assert again.end_order == ["1", lost.trial_id]

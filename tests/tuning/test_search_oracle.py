"""Oracles: every combination once, whoever dies when."""

import json
import os

import keras_tuner
import pytest

from vlae_tf.tuning import search_oracle
from vlae_tf.tuning.search_oracle import BayesianOracle, GridOracle, RandomOracle

ORACLES = [GridOracle, RandomOracle]


@pytest.fixture
def make(tmp_path):
    """Makes an oracle over 2 x 3 combinations, one that goes on where its folder says so."""

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


def combinations(oracle):
    return [tuple(trial.hyperparameters.values.values()) for trial in oracle.trials.values()]


@pytest.fixture
def clock(monkeypatch):
    """The time, to be set by the test."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(search_oracle, "time", clock)
    return clock


@pytest.mark.parametrize("cls", ORACLES)
def test_every_combination_comes_once(make, cls):
    oracle = make(cls)
    while (trial := oracle.create_trial("a")).status == "RUNNING":
        end(oracle, trial)
    assert trial.status == "STOPPED"
    found = combinations(oracle)
    assert len(found) == 6 == len(set(found))
    if cls is GridOracle:
        assert found == [(size, rate) for size in (1, 2) for rate in (0.1, 0.2, 0.3)]


@pytest.mark.parametrize("cls", ORACLES)
@pytest.mark.parametrize("ended", [True, False], ids=["between_trials", "in_a_trial"])
def test_restarted_search_goes_on(make, cls, ended):
    oracle = make(cls)
    for _ in range(3):
        trial = oracle.create_trial("a")
        if ended or trial.trial_id != "2":
            end(oracle, trial)
    again = make(cls)
    trial = again.create_trial("b")
    assert (trial.trial_id == "2") == (not ended)
    while trial.status == "RUNNING":
        end(again, trial)
        trial = again.create_trial("b")
    assert len(combinations(again)) == 6 == len(set(combinations(again)))


def test_max_trials_bounds_the_search_and_may_be_raised(make):
    oracle = make(max_trials=2)
    while (trial := oracle.create_trial("a")).status == "RUNNING":
        end(oracle, trial)
    assert len(oracle.trials) == 2
    assert make(max_trials=3).create_trial("a").status == "RUNNING"


def test_no_trial_begins_when_the_time_is_up(make, clock):
    oracle = make()
    oracle.deadline = clock.now + 10
    end(oracle, oracle.create_trial("a"))
    clock.now += 11
    assert oracle.create_trial("a").status == "STOPPED"
    assert not oracle.tuner_ids


def test_files_are_whole_or_absent(make, tmp_path, monkeypatch):
    oracle = make()
    oracle.create_trial("a")
    path = tmp_path / "trials" / "oracle.json"
    before = path.read_text()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        oracle.save()
    assert path.read_text() == before and json.loads(before)["start_order"] == ["0"]


# === Workers that die ===


def test_trial_of_a_dead_worker_goes_to_another(make, clock):
    oracle = make(max_trials=2, lease_s=60)
    lost, other = oracle.create_trial("dead"), oracle.create_trial("alive")
    clock.now += 50
    oracle.get_trial(other.trial_id)  # its worker reports
    end(oracle, other)
    assert oracle.create_trial("alive").status == "IDLE", "it may have to take over"
    clock.now += 20
    trial = oracle.create_trial("alive")
    assert trial.trial_id == lost.trial_id
    end(oracle, trial)
    assert oracle.create_trial("alive").status == "STOPPED"
    assert not oracle.ongoing_trials and not oracle.tuner_ids
    assert oracle.end_order == [other.trial_id, lost.trial_id]


def test_a_worker_that_reports_keeps_its_trial(make, clock):
    oracle = make(lease_s=60)
    trial = oracle.create_trial("slow")
    for _ in range(10):
        clock.now += 50
        oracle.get_trial(trial.trial_id)
        oracle.give_up_the_silent()
    assert oracle.ongoing_trials["slow"].trial_id == trial.trial_id


def test_answer_of_a_worker_given_up_counts_once(make, clock):
    oracle = make(max_trials=1, lease_s=60)
    late = oracle.create_trial("late")
    clock.now += 70
    again = oracle.create_trial("other")
    assert again.trial_id == late.trial_id
    end(oracle, again)
    end(oracle, late)
    assert oracle.end_order == [late.trial_id]


def test_an_idle_worker_that_died_is_forgotten(make, clock):
    oracle = make(max_trials=1, lease_s=60)
    trial = oracle.create_trial("a")
    assert oracle.create_trial("b").status == "IDLE"
    clock.now += 70
    oracle.get_trial(trial.trial_id)
    oracle.give_up_the_silent()
    assert oracle.tuner_ids == {"a"}


def test_bayesian_search_tries_nothing_twice(make):
    oracle = make(BayesianOracle, num_initial_points=2)
    while (trial := oracle.create_trial("a")).status == "RUNNING":
        end(oracle, trial, nll=trial.hyperparameters.values["rate"])
    assert len(set(combinations(oracle))) == len(combinations(oracle)) > 4

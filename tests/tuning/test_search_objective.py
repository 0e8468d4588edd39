"""What makes one trial better than another."""

import math

import pytest

from vlae_tf.tuning import SearchObjective

pytestmark = pytest.mark.slow

METRICS = {"nll": 80.0, "elbo": -81.0, "bits_per_dim": 80 / (784 * math.log(2)), "code_bits": 12.0}


@pytest.mark.parametrize("name", ["nll", "elbo", "bits_per_dim"])
def test_score_is_the_metric(name):
    assert SearchObjective(name).score(METRICS) == METRICS[name]


@pytest.mark.parametrize(("name", "better"), [("nll", 79.0), ("elbo", -80.0)])
def test_rank_is_smaller_for_what_is_better(name, better):
    objective = SearchObjective(name)
    assert objective.rank(better) < objective.rank(METRICS[name])


def test_a_code_within_the_limit_scores_its_nll():
    assert SearchObjective("rate_distortion", 12.0).score(METRICS) == 80.0


def test_a_code_beyond_the_limit_loses_to_every_other_and_worse_by_each_bit():
    objective = SearchObjective("rate_distortion", 10.0)
    stored = 784 * math.log(2)
    assert objective.score(METRICS) == pytest.approx(stored + 2)
    longer = METRICS | {"nll": 70.0, "bits_per_dim": 70 / stored, "code_bits": 20.0}
    assert objective.score(longer) == pytest.approx(stored + 10)
    assert not objective.allows(METRICS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("likelihood",), "one of 'nll', 'elbo'.*Received: objective='likelihood'"),
        (("rate_distortion",), "`max_code_bits` must be a finite number, greater than 0.*None"),
        (("rate_distortion", 0.0), "`max_code_bits` must be .*greater than 0. .*=0.0"),
        (("nll", 10.0), "None unless the objective is rate_distortion.*=10.0, objective='nll'"),
    ],
)
def test_invalid_objectives(arguments, message):
    with pytest.raises(ValueError, match=message):
        SearchObjective(*arguments)

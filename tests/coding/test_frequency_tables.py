"""Whole numbers that no machine may have otherwise."""

import numpy as np
import pytest
from scipy.special import expit, log_ndtr, ndtr, ndtri

from vlae_tf.coding import tables
from vlae_tf.coding.decisions import Recorder, asker, bernoulli, bisected, constriction
from vlae_tf.coding.rounding import Ties

pytestmark = pytest.mark.jax

SUMS = {
    "odds": 68711088128,
    "logistic": 3588268405,
    "normal": 5870998837,
    "exponentials": 268959984,
    "inverse_scales": 281286.67628479004,
    "hyperbolic_tangents": 14963.52294921875,
    "noise": [
        [1.0695037841796875, 1.440185546875],
        [-0.1983795166015625, -0.950958251953125],
        [0.0918731689453125, 0.17559814453125],
    ],
}


def far_from_ties(numbers):
    """Whether other last bits of the functions would round to the same."""
    distance = np.abs(numbers - np.floor(numbers) - 0.5)
    return (distance > 1e-14 * np.maximum(np.abs(numbers), 1)).all()


def test_no_entry_of_a_table_is_near_a_tie():
    n = np.arange(-4095, 4096)
    assert far_from_ties(expit(n / 256) * 2.0**24)
    u = np.arange(-24 * 4096, 24 * 4096 + 1) / 4096
    # At 0 both are a half, and exact.
    assert far_from_ties(expit(u) * 2.0**28) and far_from_ties(ndtr(u) * 2.0**28)
    assert far_from_ties(np.exp(-np.arange(4096) / 256) * 2.0**20)
    assert far_from_ties(np.exp(-np.arange(-1792, 2049) / 256) * 2.0**18)
    assert far_from_ties(np.tanh(np.arange(-8191, 8192) / 1024) * 4096)
    # Of the default book of a code of 1,024 numbers, and of the noise that lossy files take.
    assert far_from_ties(ndtri(tables.uniform_noise(1 << 20, 0)) * 65536)


def test_tables_are_these_to_the_last_bit():
    sums = {
        "odds": tables.odds().sum(),
        "logistic": tables.cumulative("logistic", np.linspace(-9, 1, 100)).sum(),
        "normal": tables.cumulative("normal", np.linspace(-4, 1, 100)).sum(),
        "exponentials": tables.exponentials().sum(),
        "inverse_scales": tables.inverse_scales().sum(),
        "hyperbolic_tangents": np.abs(tables.hyperbolic_tangents()).sum(),
        "noise": tables.normal_noise(3, 2, seed=5).tolist(),
    }
    assert sums == SUMS


def test_more_noise_begins_with_less():
    np.testing.assert_array_equal(
        tables.normal_noise(8, 3, seed=1)[:2], tables.normal_noise(2, 3, seed=1)
    )


def test_symbols_come_back_and_cost_their_mass():
    rng = np.random.default_rng(0)
    masses = rng.integers(1, 1 << 20, 256) * (rng.random(256) < 0.5) + 1
    ends = np.concatenate([[0], np.cumsum(masses)])
    symbols = rng.choice(256, 5000, p=masses / masses.sum())
    recorder = Recorder()
    known = bisected(lambda s: ends[s], 256, recorder.symbols(symbols), symbols.shape)
    np.testing.assert_array_equal(known, symbols)
    answers, probabilities = recorder.decisions()
    bits = -np.log2(np.where(answers, probabilities, 1 - probabilities)).sum()
    assert abs(bits - np.log2(ends[-1] / masses[symbols]).sum()) < 1e-3 * bits
    pytest.importorskip("constriction")
    encoder = constriction().stream.queue.RangeEncoder()
    encoder.encode(answers, bernoulli(), probabilities)
    words = encoder.get_compressed()
    assert 32 * len(words) < 1.001 * bits + 64
    ask = asker(constriction().stream.queue.RangeDecoder(words))
    np.testing.assert_array_equal(bisected(lambda s: ends[s], 256, ask, symbols.shape), symbols)


def test_what_is_near_a_tie_is_rounded_as_it_was_written():
    rng = np.random.default_rng(0)
    numbers = np.round(rng.normal(size=(40, 5)) * 50)
    numbers[rng.random(numbers.shape) < 0.1] += 0.5
    other = numbers + rng.uniform(-4e-11, 4e-11, numbers.shape)
    ties = Ties()
    whole = ties.note(numbers, margin=1e-10, start=7)
    assert len(ties.values) == (numbers % 1 == 0.5).sum()
    again = Ties.from_bytes(ties.to_bytes()).part(7, 7 + numbers.size)
    np.testing.assert_array_equal(again.rounded(other), whole)
    assert (np.round(other) != whole).any()
    places = np.arange(numbers.size).reshape(numbers.shape)[20:, 2:]
    np.testing.assert_array_equal(again.rounded(other[20:, 2:], places), whole[20:, 2:])


@pytest.mark.parametrize("name", ["logistic", "normal"])
def test_distribution_functions(name):
    u = np.linspace(-7, 7, 1000)
    exact = expit(u) if name == "logistic" else np.exp(log_ndtr(u))
    np.testing.assert_allclose(tables.cumulative(name, u) / tables.MASS, exact, atol=1e-4)
    assert (np.diff(tables.cumulative(name, u)) >= 0).all()

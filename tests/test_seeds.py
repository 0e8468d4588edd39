"""Seeds of rows: one each, whatever batch they are in."""

import numpy as np
import pytest

from vlae_tf.seeds import row_seeds

pytestmark = pytest.mark.jax


def test_a_longer_batch_starts_with_the_seeds_of_a_shorter_one():
    np.testing.assert_array_equal(row_seeds(3, 100)[:7], row_seeds(3, 7))
    assert row_seeds(3, 7).dtype == np.int32 and row_seeds(3, 7).min() >= 0


def test_neighbouring_seeds_have_no_row_in_common():
    rows = np.concatenate([row_seeds(seed, 100) for seed in range(5)])
    assert len(set(rows.tolist())) == 500


def test_no_two_rows_have_the_same_seed():
    # The hash alone gives rows 938 and 1834 of seed 43 the same one.
    seeds = row_seeds(43, 100_000)
    assert len(np.unique(seeds)) == 100_000 and seeds.min() >= 0
    np.testing.assert_array_equal(row_seeds(43, 1900), seeds[:1900])
    assert seeds[1834] == seeds[938] + 1


@pytest.mark.parametrize("seeds", [[4, 5, 6], np.array([4, 5, 6]), np.array([4, 5, 6], "uint8")])
def test_seeds_of_rows_are_taken_as_they_are(seeds):
    np.testing.assert_array_equal(row_seeds(seeds, 3), [4, 5, 6])


@pytest.mark.parametrize(
    "seed",
    [-1, 1.0, "0", True, None, [1, 2], np.arange(3.0), np.ones((3, 1), int), [0, 1, 2**31]],
    ids=repr,
)
def test_an_invalid_seed_is_refused(seed):
    with pytest.raises(ValueError, match="`seed` must be .* each of the 3 rows. Received: seed="):
        row_seeds(seed, 3)

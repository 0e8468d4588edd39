"""One seed for each row of a batch, by NumPy alone."""

import numpy as np


def row_seeds(seed, count):
    """One seed per row, int32 `(count,)`, from one integer (or the seeds themselves).

    Row i has the same seed whatever `count` is, so a longer batch starts with the shorter one. No
    two rows have the same seed where one integer was given.

    Raises:
        ValueError: if `seed` is neither a non-negative integer nor one int32 per row.

    Example:
        >>> from vlae_tf.seeds import row_seeds
        >>> bool((row_seeds(7, 5)[:3] == row_seeds(7, 3)).all())
        True
    """
    seeds = np.asarray(seed)
    if seeds.dtype.kind in "iu":
        if seeds.ndim == 0 and seeds >= 0:
            # Hashed, so that the rows of seed 1 are not those of seed 0 moved by one.
            words = np.random.SeedSequence(int(seeds)).generate_state(count)
            return _without_repeats((words >> 1).astype("int32"))
        if seeds.shape == (count,) and (seeds == seeds.astype("int32")).all():
            return seeds.astype("int32")
    raise ValueError(
        "`seed` must be a non-negative integer, or integers of 32 bits, one for each of the "
        f"{count} rows. Received: seed={seed!r}"
    )


def _without_repeats(seeds):
    """`seeds`, where a later row with the seed of an earlier one takes the next that is free.

    The hash repeats itself in most batches of 50,000. Why not seeds that never repeat (a permuted
    counter): every published figure was made with these.
    """
    if len(np.unique(seeds)) < len(seeds):
        taken = set()
        for row, seed in enumerate(seeds.tolist()):
            while seed in taken:
                seed = (seed + 1) % 2**31
            taken.add(seed)
            seeds[row] = seed
    return seeds

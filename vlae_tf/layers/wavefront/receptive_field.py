from typing import NamedTuple

import numpy as np


class ReceptiveField(NamedTuple):
    """The window of an autoregressive network: what pixel (i, j) can see.

    Pixel (i, j) sees the `above` rows above it, from column j - `left` to column j + `right`, and
    row i - d no further than column j + `slope` * d; of its own row it sees what is to its left.
    Each number is the smallest that is true for the network. The slope says how many steps sampling
    takes: all pixels with equal j + (slope + 1) * i are independent given the earlier ones.
    `ends` has the last column that is seen of each row, its own first, relative to j; None where a
    row is not seen.

    Example:
        >>> from vlae_tf.layers import ReceptiveField
        >>> ReceptiveField.of_stack([(5, 5), (3, 3)])
        ReceptiveField(above=3, left=3, right=3, slope=2, ends=(-1, 2, 3, 3))
    """

    above: int
    left: int
    right: int
    slope: int
    ends: tuple = ()

    @classmethod
    def of_stack(cls, kernel_sizes):
        """The window of masked convolutions with these kernel sizes, the first of type A."""
        furthest = left = None
        for height, width in kernel_sizes:
            up, (side, right) = height // 2, sides(width)
            if furthest is None:
                # Type A: to the left only in the pixel's own row, if the kernel has a left.
                furthest = np.array([-1.0 if side else -np.inf] + [right] * up)
                left = side
            else:
                furthest = _furthest_of_both(furthest, np.array([0.0] + [right] * up))
                left += side
        return cls.of_rows(furthest, left)

    @classmethod
    def of_rows(cls, furthest, left):
        """The window whose row i - d ends at column j + furthest[d], -inf where nothing is seen."""
        furthest = np.asarray(furthest, "float64")
        rows = np.flatnonzero(np.isfinite(furthest))
        if not rows.size:
            return cls(0, 0, 0, 0)
        above = rows[rows > 0]
        right = max([0, *furthest[above]])
        slope = max([0, *np.ceil(furthest[above] / above)])
        ends = tuple(int(end) if np.isfinite(end) else None for end in furthest)
        return cls(int(rows[-1]), int(left), int(right), int(slope), ends)

    def offsets(self):
        """The pixels that are seen: pairs of rows up and columns to the right."""
        return [
            (up, side)
            for up, end in enumerate(self.ends)
            if end is not None
            for side in range(-self.left, end + 1)
        ]

    @property
    def pixels(self):
        """The number of pixels that are seen."""
        return len(self.offsets())

    def check_mask(self, mask):
        """Raises unless the known pixels of images can stay while the others are drawn.

        What is drawn later cannot change what a known pixel saw: so no known pixel may see an
        unknown one.

        Args:
            mask: boolean, `(batch, height, width, channels)`: which pixels are known. The channels
                of a pixel are known together (`vlae_tf.checks.check_channels_together`).

        Raises:
            ValueError: names a known pixel and the unknown one that it sees.
        """
        known = mask.all(axis=-1)
        _, height, width = known.shape
        for up in range(min(self.above, height - 1) + 1):
            last = min(self.right, self.slope * up) if up else -1
            for side in range(-min(self.left, width - 1), min(last, width - 1) + 1):
                seer = known[:, up:, max(-side, 0) : width - max(side, 0)]
                seen = known[:, : height - up, max(side, 0) : width - max(-side, 0)]
                if (seer & ~seen).any():
                    _, row, column = np.argwhere(seer & ~seen)[0]
                    row, column = row + up, column + max(-side, 0)
                    raise ValueError(
                        "`mask` must be closed under the decoder's window: what a known pixel sees "
                        "must be known too, for example the first rows of an image. Received: a "
                        f"mask with pixel ({row}, {column}) known but not ({row - up}, "
                        f"{column + side}), which it sees"
                    )


def _furthest_of_both(first, second):
    """The furthest columns through two layers: a row below is reached in steps of both."""
    rows = len(first) + len(second) - 1
    both = np.full(rows, -np.inf)
    for row, column in enumerate(first):
        both[row : row + len(second)] = np.maximum(both[row : row + len(second)], column + second)
    return both


def sides(width):
    """Columns of a kernel to the left of its centre, and to the right: an even width has one more
    to the left."""
    return width // 2, (width - 1) // 2

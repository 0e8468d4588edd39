"""Real numbers rounded alike on every machine."""

import struct

import numpy as np

# Two machines may differ by less than this: the largest seen was 1e-12.
MARGIN = 1e-10
_TIE = struct.Struct("<Qi")


class Ties:
    """Numbers that lie so near the middle between two whole ones that another machine may round
    them to the other one. The encoder writes down how it rounded them.

        round(x) on both sides, but n where |x - floor(x) - 1/2| < margin

    Args:
        values: a dict of places to whole numbers.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.coding.rounding import Ties
        >>> ties = Ties()
        >>> ties.note(np.array([0.2, 0.5 + 1e-15]), margin=1e-10)
        array([0, 1])
        >>> Ties(ties.values).rounded(np.array([0.2, 0.5 - 1e-15]))
        array([0, 1])
    """

    def __init__(self, values=()):
        self.values = dict(values)

    def note(self, numbers, margin, start=0):
        """Whole numbers, int64; what is near a tie is noted, with its place in the flat array.

        Args:
            numbers: float64 array.
            margin: margin of each number, an array that broadcasts to them.
            start: place of the first number.
        """
        whole = np.round(numbers)
        near = np.abs(np.abs(numbers - whole) - 0.5) < margin
        for place in np.flatnonzero(near):
            self.values[start + int(place)] = int(whole.flat[place])
        return whole.astype("int64")

    def rounded(self, numbers, places=None):
        """Whole numbers, int64, as `note` gave them.

        Args:
            numbers: float64 array.
            places: the place of each number; by default that in the flat array.
        """
        whole = np.round(numbers).astype("int64")
        if self.values:
            places = np.arange(whole.size) if places is None else np.ravel(places)
            flat = whole.reshape(-1)
            for index in np.flatnonzero(np.isin(places, list(self.values))):
                flat[index] = self.values[int(places[index])]
            whole = flat.reshape(whole.shape)
        return whole

    def update(self, other, start):
        """Takes those of another, whose first place is this one."""
        self.values |= {start + place: value for place, value in other.values.items()}

    def part(self, start, end):
        """Those of these places, counted from the first."""
        return Ties({p - start: v for p, v in self.values.items() if start <= p < end})

    def to_bytes(self):
        return b"".join(_TIE.pack(*item) for item in sorted(self.values.items()))

    @classmethod
    def from_bytes(cls, data):
        return cls(_TIE.iter_unpack(data))

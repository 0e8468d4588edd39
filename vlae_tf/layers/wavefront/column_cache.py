import copy

from keras import ops


class ColumnCache:
    """What the layers of a PixelCNN remember while it runs along the wavefront of an image.

    All pixels with equal t = j + (slope + 1) i are computed at once, in one *column*: an image one
    pixel wide, `(batch, slots, 1, channels)`, where row i of the image lies in slot i mod `slots`.
    Tap (di, dj) of a masked convolution is the column of time t + dj + (slope + 1) di, its slots
    rolled by -di. So each layer computes only what is new, and keeps its last few columns.

    A network is run with `cache=` in place of images: once on a first column, which finds out what
    must be kept and prepares the kernels, then once for each t. The cache knows layers by the order
    in which they are called, so that tied weights need no care.

    Args:
        slope: slope of the wavefront.
        inside: function of a lead to a mask `(slots, 1, 1)`: which pixels of the column `lead`
            steps ahead lie in the image.
        state: columns kept by the cache of the step before; None for the first run.
        first: the cache of the first run, whose constants are used again; None for that run.

    Attributes:
        state: columns to keep for the next step.
        masks: a dict of the masks that were asked for, by lead.
        current: the scaled pixels of the column that is being drawn. The channel groups drawn so
            far are right; only layers with `groups` look at them.
        lead: how many steps the column that a layer is asked for lies ahead of t.
    """

    def __init__(self, slope, inside, state=None, first=None):
        self.slope = slope
        self.lead = 0
        self.state = []
        self.current = None
        self.masks = {}
        self._inside = inside
        self._past = None if state is None else iter(state)
        self._first = first
        self._constants = []
        self._prepared = first and iter(first._constants)

    def ahead(self, steps):
        """The same cache, for columns that lie `steps` ahead."""
        view = copy.copy(self)
        view.lead = steps
        return view

    def constant(self, make):
        """`make()`, computed once for all steps."""
        if self._first is not None:
            return next(self._prepared)
        self._constants.append(make())
        return self._constants[-1]

    def history(self, column, steps):
        """`[column, the one before, ...]`, back to `steps` steps ago; zeros before the first."""
        if self._past is None:
            past = [ops.zeros_like(column)] * steps
        else:
            past = [next(self._past) for _ in range(steps)]
        columns = [column, *past]
        self.state.extend(columns[:steps])
        return columns

    def delay(self, column, steps):
        """The column given `steps` steps ago."""
        return self.history(column, steps)[-1]

    def crop(self, column, lead):
        """The column of `lead` steps ahead, zero outside the image, where convolutions see zero."""
        if lead not in self.masks:
            self.masks[lead] = self._inside(lead)
        return column * ops.cast(self.masks[lead], column.dtype)

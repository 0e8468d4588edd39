"""Symbols as decisions between 0 and 1, each coded with a probability that is a whole number."""

import numpy as np

from vlae_tf.checks import check_installed
from vlae_tf.coding.tables import ONE


def bisected(cumulative, levels, ask, shape):
    """Symbols of 0..levels-1, each found by halving what it may be.

    A symbol costs the logarithm of its mass, up to 2^-24 a decision.

    Args:
        cumulative: function of symbols, an integer array of this shape, to the mass of all lesser
            ones, int64 below 2^53; it must rise with each symbol. It takes an integer too.
        levels: number of symbols, a power of two.
        ask: function of probabilities of 1 in 2^-24, and of the symbols from which on the answer is
            1, to answers.
        shape: shape of the symbols.
    """
    low = np.zeros(shape, "int64")
    below, above = (np.broadcast_to(cumulative(end), shape) for end in (0, levels))
    step = levels // 2
    while step:
        middle = low + step
        mass = cumulative(middle)
        share = (above - mass).astype("float64") * ONE / (above - below).astype("float64")
        one = ask(np.clip(np.floor(share), 1, ONE - 1).astype("int64"), middle) > 0
        low = np.where(one, middle, low)
        below, above = np.where(one, mass, below), np.where(one, above, mass)
        step //= 2
    return low


class Recorder:
    """Writes decisions down, to be coded later in any order.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.coding.decisions import Recorder
        >>> recorder = Recorder()
        >>> recorder(np.array([1 << 23]), np.array([1]))
        >>> recorder.decisions()
        (array([1], dtype=int32), array([0.5]))
    """

    def __init__(self):
        self._answers, self._probabilities = [], []

    def __call__(self, probabilities, answers):
        self._answers.append(np.ravel(answers).astype("int32"))
        self._probabilities.append(np.ravel(probabilities))

    def symbols(self, symbols):
        """An `ask` for `bisected`, which answers with what these symbols are."""

        def ask(probabilities, middle):
            answers = symbols >= middle
            self(probabilities, answers)
            return answers

        return ask

    def decisions(self):
        """All answers and their probabilities of 1, flat, as the coder takes them."""
        probabilities = np.concatenate(self._probabilities) / ONE
        return np.concatenate(self._answers), probabilities


def asker(coder):
    """An `ask` for `bisected` and for pixels, which takes the answers from a coder's words."""

    def ask(probabilities, middle=None):
        flat = np.ravel(probabilities) / ONE
        if not flat.size:
            return np.zeros(np.shape(probabilities), "int32")
        return coder.decode(bernoulli(), flat).reshape(np.shape(probabilities))

    return ask


def bernoulli():
    """The coder's model of a decision. It makes its probabilities of ours by sums and products."""
    return constriction().stream.model.Bernoulli(perfect=False)


def constriction():
    """The package that codes decisions into words of 32 bits."""
    check_installed("constriction", "coding", "Coding")
    import constriction

    return constriction

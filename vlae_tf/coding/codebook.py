import numpy as np
from keras import ops

from vlae_tf.checks import refuse
from vlae_tf.coding.rounding import MARGIN, Ties
from vlae_tf.coding.tables import normal_noise
from vlae_tf.distributions import AutoregressiveFlow

# Codes are whole multiples of this, so that encoder and decoder have the same.
_GRID = 2.0**-12
# Codes that are made at once; of those that are compared with images, and of the images.
_CODES, _COMPARED, _IMAGES = 1024, 256, 64
# Bits of what can be searched as a whole, and the rows that are kept of each share of a longer one.
_SHARE, _KEPT = 16, 8


class Codebook:
    """2^bits codes drawn from the prior, the same on every machine.

    Of more than 16 bits, the number of a code falls into two halves, each of which chooses every
    second number of the noise out of 2^(bits / 2) draws: the book is never made as a whole.

    Args:
        model: `VAE` in float64.
        bits: logarithm of the number of codes, at most 32; up to 16, a larger book begins with the
            smaller ones.
        seed: seed of the draws.

    Raises:
        ValueError: for more than 16 bits of a prior that is no flow: its noise cannot be found.

    Example:
        >>> import vlae_tf
        >>> from vlae_tf.coding.codebook import Codebook
        >>> model = vlae_tf.zoo.load("mnist_ladder", "float64")
        >>> Codebook(model, bits=4, seed=0).codes([3, 15]).shape
        (2, 6)

    Reference:
        Theis & Yosri, "Algorithms for the Communication of Samples", ICML 2022, section 3.
    """

    def __init__(self, model, bits, seed):
        self.model, self.bits = model, bits
        whole = bits <= _SHARE
        if not whole and not isinstance(model.prior(), AutoregressiveFlow):
            expected = f"at most {_SHARE}, unless the prior is a flow"
            refuse("codebook_bits", expected, bits, f"{bits} and {type(model.prior()).__name__}")
        self.shares = [bits] if whole else [bits - bits // 2, bits // 2]
        self.noise = normal_noise(1 << self.shares[0], model.latent_dim, seed)

    def codes(self, rows):
        """The codes with these numbers, float64 `(n, latent_dim)`."""
        return np.round(self._drawn(rows) / _GRID) * _GRID

    def checked_codes(self, rows):
        """The codes with these numbers, and whether each is surely the same on every machine."""
        parts = [self._drawn(rows[at : at + _CODES]) for at in range(0, len(rows), _CODES)]
        ties = Ties()
        codes = ties.note(np.concatenate(parts) / _GRID, MARGIN / _GRID) * _GRID
        safe = np.ones(len(codes), bool)
        safe[np.array(list(ties.values), int) // self.model.latent_dim] = False
        return codes, safe

    def _drawn(self, rows):
        rows, noise = np.asarray(rows), np.zeros((len(rows), self.model.latent_dim))
        for share, bits in reversed(list(enumerate(self.shares))):
            noise[:, share :: len(self.shares)] = self.of_share(rows & ((1 << bits) - 1), share)
            rows = rows >> bits
        run = self.model.compiled_function(
            "coding_codes", lambda noise: self.model.prior().from_noise(noise)
        )
        return ops.convert_to_numpy(run(noise))

    def of_share(self, rows, share):
        """The numbers of the noise that a share chooses, by the share's rows."""
        return self.noise[rows, share :: len(self.shares)]


class Choice:
    """What chooses for each image the code of a book that makes its file the shortest.

    Of all codes, those with the largest log q(z | x) - log p(z), which is log p(x | z) up to a
    constant if q is the true posterior, are decoded, and the one with the largest log p(x | z) is
    taken. Which is taken does not matter to the decoder: so the model here is that in float32.

    Args:
        model: `VAE` in float32.
        book: `Codebook`.
        candidates: number of codes that are decoded for each image.
    """

    def __init__(self, model, book, candidates):
        self.model, self.book = model, book
        self.candidates = candidates
        if len(book.shares) == 1:
            codes, self._safe = book.checked_codes(np.arange(len(book.noise)))
            self._codes = codes.astype(model.variable_dtype)
            # So many at once: their number is a power of two.
            shape = (-1, min(_COMPARED, len(codes)), model.latent_dim)
            self._parts = self._codes.reshape(shape)
            run = model.compiled_function("coding_prior", self._log_priors)
            self._log_prior = ops.convert_to_numpy(run(self._parts)).reshape(-1)

    def __call__(self, images):
        """The numbers of the codes chosen, int64 `(n,)`, and log p(x | z), `(n,)`."""
        images = images.astype(self.model.variable_dtype)
        find = self._of_whole_book if len(self.book.shares) == 1 else self._of_shares
        parts = [find(images[at : at + _IMAGES]) for at in range(0, len(images), _IMAGES)]
        rows, codes = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        run = self.model.compiled_function("coding_likelihood", self._log_likelihood)
        fits = np.stack([ops.convert_to_numpy(run(images, code)) for code in codes])
        best = fits.argmax(axis=0)
        images = np.arange(len(images))
        return rows[best, images], fits[best, images]

    def _of_whole_book(self, images):
        """The best candidates of each image, their numbers and codes, `(candidates, images)`."""
        run = self.model.compiled_function("coding_posterior", self._log_posterior)
        scores = ops.convert_to_numpy(run(images, self._parts)).reshape(-1, len(images))
        scores = np.where(self._safe[:, None], scores - self._log_prior[:, None], -np.inf)
        rows = _largest(scores, self.candidates)
        return rows, self._codes[rows]

    def _of_shares(self, images):
        """The same where the book is in shares: of the best rows of each, all pairs are looked at.

        A share's rows are compared with the noise of the posterior's centre, at its spread.
        """
        run = self.model.compiled_function("coding_target", self._target)
        center, spread = (ops.convert_to_numpy(part) for part in run(images))
        rows, count = np.zeros((1, len(images)), "int64"), len(self.book.shares)
        for share, bits in enumerate(self.book.shares):
            noise = self.book.of_share(np.arange(1 << bits), share).astype(center.dtype)
            loc, inverse = center[:, share::count], spread[:, share::count] ** -2
            scores = noise @ (loc * inverse).T - noise**2 @ (inverse - 1.0).T / 2
            found = _largest(scores, _KEPT)
            rows = (rows[:, None] << bits | found).reshape(-1, len(images))
        codes, safe = self.book.checked_codes(rows.reshape(-1))
        codes = codes.reshape(*rows.shape, -1).astype(self.model.variable_dtype)
        run = self.model.compiled_function("coding_scores", self._scores)
        scores = np.where(
            safe.reshape(rows.shape), ops.convert_to_numpy(run(images, codes)), -np.inf
        )
        best = _largest(scores, self.candidates)
        images = np.arange(len(images))
        return rows[best, images], codes[best, images]

    def _log_priors(self, parts):
        return ops.map(self.model.prior().log_prob, parts)

    def _log_posterior(self, images, parts):
        return ops.map(self.model.posterior(images).log_prob_of_each, parts)

    def _target(self, images):
        posterior = self.model.posterior(images)
        return self.model.prior().to_noise(posterior.center()), posterior.spread()

    def _scores(self, images, codes):
        return self.model.posterior(images).log_prob(codes) - self.model.prior().log_prob(codes)

    def _log_likelihood(self, images, codes):
        return self.model.likelihood(codes).log_prob(images)


def _largest(scores, count):
    """The places of the largest scores of each column, as many as there are."""
    count = min(count, len(scores))
    return np.argpartition(-scores, count - 1, axis=0)[:count]

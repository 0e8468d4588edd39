import numpy as np
from keras import ops

from vlae_tf.coding.rounding import MARGIN, Ties
from vlae_tf.coding.tables import normal_noise

# Codes are whole multiples of this, so that encoder and decoder have the same.
_GRID = 2.0**-12
# Codes that are made, or compared with images, at once.
_ROWS = 1024


class Codebook:
    """2^bits codes drawn from the prior, the same on every machine.

    Args:
        model: `VAE` in float64.
        bits: logarithm of the number of codes; a larger book begins with the smaller ones.
        seed: seed of the draws.

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
        self._noise = normal_noise(1 << bits, model.latent_dim, seed)

    def codes(self, rows):
        """The codes with these numbers, float64 `(n, latent_dim)`."""
        return np.round(self._drawn(self._noise[np.asarray(rows)]) / _GRID) * _GRID

    def all_codes(self):
        """All codes, and whether each is surely the same on every machine."""
        drawn = np.concatenate(
            [
                self._drawn(self._noise[start : start + _ROWS])
                for start in range(0, len(self._noise), _ROWS)
            ]
        )
        ties = Ties()
        codes = ties.note(drawn / _GRID, MARGIN / _GRID) * _GRID
        safe = np.ones(len(codes), bool)
        safe[np.array(list(ties.values), int) // self.model.latent_dim] = False
        return codes, safe

    def _drawn(self, noise):
        run = self.model.compiled_function(
            "coding_codes", lambda noise: self.model.prior().from_noise(noise)
        )
        return ops.convert_to_numpy(run(noise))


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
        codes, self._safe = book.all_codes()
        self.model = model
        self.candidates = min(candidates, len(codes))
        self._codes = codes.astype(model.variable_dtype)
        run = model.compiled_function("coding_prior", lambda codes: model.prior().log_prob(codes))
        self._log_prior = np.concatenate(
            [ops.convert_to_numpy(run(self._codes[at])) for at in self._slices()]
        )

    def _slices(self):
        return [slice(i, i + _ROWS) for i in range(0, len(self._codes), _ROWS)]

    def __call__(self, images):
        """The numbers of the codes chosen, int64 `(n,)`, and log p(x | z), `(n,)`."""
        images = images.astype(self.model.variable_dtype)
        run = self.model.compiled_function("coding_posterior", self._log_posterior)
        scores = np.concatenate(
            [ops.convert_to_numpy(run(images, self._codes[at])) for at in self._slices()]
        )
        scores = np.where(self._safe[:, None], scores - self._log_prior[:, None], -np.inf)
        rows = np.argpartition(-scores, self.candidates - 1, axis=0)[: self.candidates]
        run = self.model.compiled_function("coding_likelihood", self._log_likelihood)
        fits = np.stack([ops.convert_to_numpy(run(images, self._codes[row])) for row in rows])
        best = fits.argmax(axis=0)
        images = np.arange(len(images))
        return rows[best, images], fits[best, images]

    def _log_posterior(self, images, codes):
        """log q(z | x) of every code and image, `(codes, images)`."""
        return self.model.posterior(images).log_prob(ops.expand_dims(codes, 1))

    def _log_likelihood(self, images, codes):
        return self.model.likelihood(codes).log_prob(images)

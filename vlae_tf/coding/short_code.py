import threading

import numpy as np

from vlae_tf.coding.codebook import Choice, Codebook
from vlae_tf.coding.decisions import Recorder, asker, bernoulli, constriction
from vlae_tf.coding.payload import joined, parted, to_bytes, to_words
from vlae_tf.coding.tables import ONE

# Bytes at the end of a block that may not be needed; in a longer block they do not matter.
_SPARE, _LONG = 8, 1 << 16


class ShortCode:
    """Blocks of images, each by the number of a code in a book and, given the code, its pixels.

        bits = k - log2 p(x | z_j),    j the best of the candidates in a book of 2^k codes

    Args:
        images: `ImageCoder` of the model.
        chooser: function that gives the `VAE` in float32, for encoding.
        bits: k, the logarithm of the number of codes.
        seed: seed of the book.
        candidates: number of codes that are tried for each image.
        lossy: whether to leave out the pixels.

    Reference:
        Havasi et al., "Minimal Random Code Learning", ICLR 2019, section 3.
    """

    def __init__(self, images, chooser, bits, seed, candidates=8, lossy=False):
        self.images = images
        self.book = Codebook(images.model, bits, seed)
        self._chooser, self._candidates = chooser, candidates
        # Blocks are coded side by side, and the book is compared with the prior once for all.
        self._choice, self._choosing = None, threading.Lock()
        self._lossy = lossy

    def encode(self, images):
        """The bytes of a block of images, uint8 `(n, height, width, channels)`."""
        with self._choosing:
            if self._choice is None:
                self._choice = Choice(self._chooser(), self.book, self._candidates)
        rows, _ = self._choice(images)
        recorder = Recorder()
        bits = np.arange(self.book.bits)[::-1]
        recorder(np.full((len(rows), len(bits)), ONE // 2), rows[:, None] >> bits & 1)
        if self._lossy:
            return joined([], _range_coded(*recorder.decisions()))
        pixels, ties = self.images.record(images, self.book.codes(rows))
        pairs = zip(recorder.decisions(), pixels.decisions(), strict=True)
        return joined([ties], _range_coded(*(np.concatenate(pair) for pair in pairs)))

    def decode(self, payloads, counts):
        """The images of blocks.

        Args:
            payloads: bytes of each block.
            counts: number of images of each block.
        """
        codes, blocks = [], []
        for payload, count in zip(payloads, counts, strict=True):
            parts, words = parted(payload, 0 if self._lossy else 1)
            ask = asker(constriction().stream.queue.RangeDecoder(to_words(words)))
            bits = ask(np.full((count, self.book.bits), ONE // 2)).astype("int64")
            codes.append(bits @ (1 << np.arange(self.book.bits)[::-1]))
            blocks.append((count, ask, *parts))
        codes = self.book.codes(np.concatenate(codes))
        return self.images.draw(codes) if self._lossy else self.images.decode(codes, blocks)


def _range_coded(answers, probabilities):
    """The bytes of a range coder, as few as the decoder needs."""
    encoder = constriction().stream.queue.RangeEncoder()
    encoder.encode(answers, bernoulli(), probabilities)
    data = to_bytes(encoder.get_compressed())

    def right(candidate):
        decoder = constriction().stream.queue.RangeDecoder(to_words(candidate))
        try:
            return np.array_equal(decoder.decode(bernoulli(), probabilities), answers)
        # No words of any decisions.
        except AssertionError:
            return False

    for size in range(max(len(data) - _SPARE, 0), len(data) if len(data) < _LONG else 0):
        # The number above the one that is cut off lies in the same interval more often.
        up = int.from_bytes(data[:size]) + 1
        shorter = [data[:size]] + ([up.to_bytes(size)] if up < 1 << 8 * size else [])
        for candidate in shorter:
            if right(candidate):
                return candidate.rstrip(b"\0")
    return data

import numpy as np
from keras import ops

from vlae_tf.checks import refuse
from vlae_tf.coding.decisions import Recorder, asker, bernoulli, bisected, constriction
from vlae_tf.coding.payload import joined, parted, read_varint, to_bytes, to_words, varint
from vlae_tf.coding.rounding import MARGIN, Ties
from vlae_tf.coding.tables import MASS, cumulative
from vlae_tf.distributions import DiagonalGaussian
from vlae_tf.priors.autoregressive_flow_prior import AutoregressiveFlowPrior

# Codes are whole multiples of 2^-5, of less than 32; the grid of the posterior's parameters.
_STEPS, _LEVELS, _FINE = 32, 2048, 4096
# Images whose networks run together; what a batch may take of the words there are.
_BATCH, _SHARE = 128, 0.9
_SEED = 2


class BitsBack:
    """Blocks of images by bits-back coding: the code is drawn with bits of the images before, and
    gives them back.

        bits = log2 q(z | x) - log2 p(x | z) - log2 p(z),    z ~ q(z | x)

    on average -ELBO, and for the first image of a block what its draw takes, the initial bits.
    Codes lie on a grid. Each step of a mean-only flow is z_i = e_i + [shift_i(z_<i)], with the
    shift rounded to the grid: a bijection of the grid that keeps volume, so that the prior's mass
    of a code is that of the normal noise it comes from.

    The first image is coded alone, and further ones in batches that grow with the bits there are:
    so a block has the initial bits of one image, and the networks run on many.

    Args:
        images: `ImageCoder` of the model: a `VAE` in float64 whose posterior is a diagonal Gaussian
            and whose prior a `FlowPrior` or `SpatialFlowPrior` of mean-only steps.

    Raises:
        ValueError: for a model with another posterior or prior.

    Reference:
        Townsend et al., "Practical Lossless Compression with Latent Variables using Bits Back
        Coding", ICLR 2019; Hoogeboom et al., "Integer Discrete Flows", 2019, section 3.
    """

    def __init__(self, images):
        self.images, self.model = images, images.model
        if not self.suits(self.model):
            prior, posterior = self.model.prior_family, self.model.posterior_family
            received = f"{type(posterior).__name__} and {type(prior).__name__}"
            expected = "codebook or lossy, unless a Gaussian posterior meets a mean-only flow"
            refuse("method", expected, None, received)
        # Those of the flow, the one that is applied to the noise first being the first.
        self._shifts = [
            lambda code, step=step: step(code)[0] for step in self.model.prior_family._steps
        ]

    @staticmethod
    def suits(model):
        """Whether a model's posterior and prior can be coded with."""
        prior = model.prior_family
        if not isinstance(prior, AutoregressiveFlowPrior) or not (
            prior.mean_only or not prior.steps
        ):
            return False
        blank = np.zeros((1, *model.image_shape))
        return isinstance(model.posterior(ops.convert_to_tensor(blank)), DiagonalGaussian)

    def encode(self, images):
        """The bytes of a block of images, uint8 `(n, height, width, channels)`."""
        initial = _initial(self.model.latent_dim)
        coder = constriction().stream.stack.AnsCoder(initial)
        ties = [Ties() for _ in range(2 + len(self._shifts))]
        sizes, dearest, start = [], 1, 0
        least = coder.num_bits()
        while start < len(images):
            before = coder.num_bits()
            # No more than what lies above the least there was: further initial bits would be lost.
            size = int(_SHARE * (before - least) / dearest)
            batch = images[start : start + min(max(size, 1), _BATCH)]
            codes = self._posterior(batch, start, ties[0], note=True)(asker(coder))
            # Counted in words, of which two are the coder's state.
            least = min(least, coder.num_bits())
            dearest = max(dearest, (before - coder.num_bits() + 64) / len(batch))
            pixels, found = self.images.record(batch, codes / _STEPS)
            ties[1].update(found, start * self.images.places)
            _push(coder, pixels)
            noise = codes
            for index in reversed(range(len(self._shifts))):
                place = start * self.model.latent_dim
                noise = noise - ties[2 + index].note(
                    self._shift(index, noise), MARGIN * _STEPS, place
                )
            recorder = Recorder()
            _gaussian(0.0, 1.0, recorder.symbols(_symbols(noise)), noise.shape)
            _push(coder, recorder)
            sizes.append(len(batch))
            start += len(batch)
        words = coder.get_compressed()
        same = np.flatnonzero(words[: len(initial)] != initial[: len(words)])
        kept = same[0] if len(same) else min(len(words), len(initial))
        numbers = b"".join(map(varint, [len(sizes), *sizes, kept]))
        return numbers + joined(ties, to_bytes(words[kept:]))

    def decode(self, payloads, counts):
        """The images of blocks: see `ShortCode.decode`."""
        pairs = zip(payloads, counts, strict=True)
        return np.concatenate([self._decode(payload, count) for payload, count in pairs])

    def _decode(self, data, count):
        batches, data = read_varint(data)
        sizes = []
        for _ in range(min(batches, count)):
            size, data = read_varint(data)
            sizes.append(size)
        kept, data = read_varint(data)
        ties, data = parted(data, 2 + len(self._shifts))
        initial = _initial(self.model.latent_dim)
        whole = sum(sizes) == count and all(1 <= size <= _BATCH for size in sizes)
        if not whole or kept > len(initial):
            raise ValueError("a block does not hold the images that it should")
        words = np.concatenate([initial[:kept], to_words(data)])
        coder = constriction().stream.stack.AnsCoder(words)
        result = np.zeros((count, *self.model.image_shape), "uint8")
        end = count
        for size in reversed(sizes):
            start = end - size
            dim, pixels = self.model.latent_dim, self.images.places
            noise = _gaussian(0.0, 1.0, asker(coder), (size, dim)) - _LEVELS // 2
            codes = noise
            for index in range(len(self._shifts)):
                part = ties[2 + index].part(start * dim, end * dim)
                codes = self._transformed(index, codes, part)
            part = ties[1].part(start * pixels, end * pixels)
            images = self.images.decode(codes / _STEPS, [(size, asker(coder), part)])
            recorder = Recorder()
            self._posterior(images, start, ties[0])(recorder.symbols(_symbols(codes)))
            _push(coder, recorder)
            result[start:end] = images
            end = start
        if not np.array_equal(coder.get_compressed(), initial):
            raise ValueError("a block does not end where it should")
        return result

    def _posterior(self, images, start, ties, note=False):
        """A function of an `ask` to the codes that it gives, int64, in `_STEPS` a unit."""
        run = self.model.compiled_function("coding_gaussian", self._parameters, any_rows=True)
        numbers = ops.convert_to_numpy(run(images.astype("float64"))) * _FINE
        place = start * numbers[0].size
        if note:
            whole = ties.note(numbers, MARGIN * _FINE, place)
        else:
            whole = ties.part(place, place + numbers.size).rounded(numbers)
        loc, scale = np.split(whole / _FINE, 2, axis=-1)
        scale = np.maximum(scale, 16 / _FINE)
        return lambda ask: _gaussian(loc, scale, ask, loc.shape) - _LEVELS // 2

    def _parameters(self, images):
        q = self.model.posterior(images)
        return ops.concatenate([q.center(), q.spread()], axis=-1)

    def _shift(self, index, codes):
        shift = self._shifts[index]
        run = self.model.compiled_function(f"coding_shift_{index}", shift, any_rows=True)
        return ops.convert_to_numpy(run(codes / _STEPS)) * _STEPS

    def _transformed(self, index, noise, ties):
        """The code with code = noise + [shift(code)]: a step of the flow, forward."""
        codes = noise
        # Each round is right for one dimension more at least.
        for _ in range(self.model.latent_dim + 1):
            before, codes = codes, noise + ties.rounded(self._shift(index, codes))
            if np.array_equal(before, codes):
                return codes
            # What is no code may grow without a bound.
            codes = np.clip(codes, -_LEVELS * _STEPS, _LEVELS * _STEPS)
        raise ValueError("a block holds no code")


def _gaussian(loc, scale, ask, shape):
    """Symbols of a Gaussian on the grid, from 0."""

    def mass(symbol):
        if np.ndim(symbol) == 0:
            return MASS + _LEVELS if symbol else 0
        u = ((symbol - _LEVELS // 2 - 0.5) / _STEPS - loc) / scale
        return cumulative("normal", u) + symbol

    return bisected(mass, _LEVELS, ask, shape)


def _symbols(codes):
    """Codes as symbols from 0."""
    symbols = codes + _LEVELS // 2
    if symbols.min() < 0 or symbols.max() >= _LEVELS:
        raise ValueError(
            f"The code of an image must lie within {_LEVELS // 2 // _STEPS} of 0 to be written. "
            f"Received: up to {np.abs(codes).max() / _STEPS}"
        )
    return symbols


def _push(coder, recorder):
    answers, probabilities = recorder.decisions()
    coder.encode_reverse(answers, bernoulli(), probabilities)


def _initial(latent_dim):
    """The words that the first image's code is drawn with: always the same."""
    words = np.random.Philox(_SEED).random_raw(latent_dim + 64) >> np.uint64(32)
    return words.astype("uint32") | np.uint32(1)

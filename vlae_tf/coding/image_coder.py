import itertools
import math

import numpy as np
from keras import ops

from vlae_tf.backend import on_host
from vlae_tf.checks import refuse
from vlae_tf.coding.binary_pixels import BinaryPixels
from vlae_tf.coding.decisions import Recorder
from vlae_tf.coding.mixture_pixels import MixturePixels
from vlae_tf.coding.rounding import MARGIN, Ties
from vlae_tf.coding.tables import uniform_noise
from vlae_tf.layers.wavefront import column_order, draws_by_columns
from vlae_tf.layers.wavefront.order import Wavefront

# Of the noise that stands for the pixels where a file has the codes alone.
_NOISE_SEED = 1


class ImageCoder:
    """Images given their codes, as decisions in the order in which a decoder can take them: along
    the wavefront, all images of a block at once, in each column the pixels from the top down.

    Args:
        model: `VAE` in float64.

    Raises:
        ValueError: for a likelihood other than those of vlae_tf.
    """

    def __init__(self, model):
        self.model = model
        self.shape = model.image_shape
        family = model.likelihood_family
        self._network = getattr(family, "network", None)
        channels = self.shape[-1]
        groups = getattr(self._network, "groups", 1)
        # The channels of each round that a column is drawn in.
        self._rounds = [[c] for c in range(channels)] if groups > 1 else [list(range(channels))]
        if model.levels == 2:
            self.pixels = BinaryPixels(channels)
        elif model.levels == MixturePixels.levels and hasattr(family, "components"):
            self.pixels = MixturePixels(channels, family.components, groups > 1)
        else:
            expected = "that of an entry with Bernoulli pixels, or mixtures of 256 levels"
            refuse("likelihood_family", expected, None, type(family).__name__)
        self._steps = self._order()
        # Of each decoding that is under way.
        self._states, self._numbers = {}, itertools.cycle(range(1 << 31))

    @property
    def places(self):
        """The number of the network's outputs of an image."""
        return math.prod(self.shape[:2]) * len(self.pixels.steps)

    def _order(self):
        """For each step of the sampler, the pixels that it makes, and where they stand in what it
        is given."""
        height, width, _ = self.shape
        everything = np.arange(height * width)
        if self._network is None:
            return [(everything, everything)]
        if not draws_by_columns(self._network):
            slope = self._network.receptive_field.slope
            time = (everything % width) + (slope + 1) * (everything // width)
            steps = (
                np.flatnonzero(time == t) for t in range(Wavefront(height, width, slope).steps)
            )
            return [(pixels, pixels) for pixels in steps]
        front, times = column_order(self._network, height, width)
        pixels, inside = front.places(times)
        steps = []
        for t in range(len(times)):
            slots = np.flatnonzero(inside[t]) if times[t] >= 0 else np.array([], int)
            slots = slots[np.argsort(pixels[t, slots])]
            steps.append((pixels[t, slots], slots))
        return steps

    def record(self, images, code):
        """The decisions that make images, and the numbers that other machines may round otherwise.

        Args:
            images: uint8 `(n, height, width, channels)`.
            code: float64 `(n, latent_dim)`.

        Returns:
            A `Recorder` and `Ties`.
        """
        recorder, ties = Recorder(), Ties()
        parameters = self._parameters(images, code)
        parameters = ties.note(parameters * self.pixels.steps, MARGIN * self.pixels.steps)
        known = images.reshape(len(images), -1, self.shape[-1]).astype("int64")
        for pixels, _ in self._steps:
            before = {}
            for channel in range(self.shape[-1]) if len(pixels) else ():
                symbols = known[:, pixels, channel]
                self.pixels.code(parameters[:, pixels], channel, before, recorder.symbols(symbols))
                before[channel] = symbols
        return recorder, ties

    def _parameters(self, images, code):
        """The network's outputs, float64 `(n, height * width, parameters)`."""
        run = self.model.compiled_function(
            "coding_parameters",
            lambda code, images: self.model.likelihood_family(
                self.model.decoder(code), ops.cast(images, "float64")
            ),
            any_rows=True,
        )
        outputs = ops.convert_to_numpy(run(code, images))
        return outputs.reshape(len(images), -1, outputs.shape[-1])

    def decode(self, code, blocks):
        """Images, uint8 `(n, height, width, channels)`.

        Args:
            code: float64 `(n, latent_dim)`.
            blocks: for each block, the number of its images, what answers its decisions, and its
                `Ties`.
        """
        state = _State(self, blocks)
        if self._network is None:
            blank = np.zeros((len(code), *self.shape), "uint8")
            parameters = self._parameters(blank, code)
            columns = state(parameters[:, :, None])
            return columns.reshape(len(code), *self.shape).astype("uint8")
        run = self.model.compiled_function("coding_decode", self._decode)
        # The function is compiled once: it knows by a number whose state it is to use.
        number = next(self._numbers)
        self._states[number] = state
        try:
            return ops.convert_to_numpy(run(code, np.array(number, "int32"))).astype("uint8")
        except Exception:
            # Compiled functions wrap what is raised in them, each backend in its own way.
            if state.error is not None:
                raise state.error from None
            raise
        finally:
            del self._states[number]

    def draw(self, code):
        """Images drawn from p(x | z), uint8, with noise that is always the same."""
        run = self.model.compiled_function("coding_draw", self._draw)
        return ops.convert_to_numpy(run(code)).astype("uint8")

    def _draw(self, code):
        likelihood = self.model.likelihood(code)
        shape = (ops.shape(code)[0], *likelihood.noise_shape)
        noise = uniform_noise(math.prod(likelihood.noise_shape), _NOISE_SEED)
        noise = ops.convert_to_tensor(noise.reshape(likelihood.noise_shape))
        return likelihood.from_noise(ops.broadcast_to(noise, shape))

    def _decode(self, code, number):
        likelihood = self.model.likelihood(code)
        blank = ops.broadcast_to(ops.zeros((), code.dtype), (*ops.shape(code)[:1], *self.shape))

        def choose(parameters, blank):
            return on_host(
                lambda parameters, number: self._states[int(number)](parameters),
                [parameters, number],
                blank,
            )

        return likelihood.drawn(choose, [blank])


class _State:
    """A decoder on its way along the wavefront: what the sampler calls at each step."""

    def __init__(self, coder, blocks):
        self._coder = coder
        ends = np.cumsum([0, *(count for count, _, _ in blocks)])
        self._blocks = [
            (slice(start, end), ask, ties)
            for start, end, (_, ask, ties) in zip(ends, ends[1:], blocks, strict=False)
        ]
        self._calls = 0
        self._drawn = {}
        self.error = None

    def __call__(self, parameters):
        try:
            return self._step(parameters)
        except Exception as error:
            self.error = error
            raise

    def _step(self, parameters):
        """The pixels of a step, `(n, slots, 1, channels)` or `(n, height, width, channels)`, from
        the network's outputs at the same places."""
        coder = self._coder
        step, part = divmod(self._calls, len(coder._rounds))
        self._calls += 1
        pixels, slots = coder._steps[step]
        flat = parameters.reshape(len(parameters), -1, parameters.shape[-1])
        if part == 0:
            self._drawn = {}
        result = np.zeros((*flat.shape[:2], coder.shape[-1]))
        if len(slots):
            given = flat[:, slots] * coder.pixels.steps
            for rows, ask, ties in self._blocks:
                self._decode(given[rows], pixels, rows, ask, ties, coder._rounds[part])
            for channel, values in self._drawn.items():
                result[:, slots, channel] = values
        return result.reshape(*parameters.shape[:-1], coder.shape[-1])

    def _decode(self, given, pixels, rows, ask, ties, channels):
        coder = self._coder
        places = None
        if ties.values:
            size = given.shape[-1]
            image = np.arange(len(given))[:, None] * np.prod(coder.shape[:2]) + pixels
            places = image[..., None] * size + np.arange(size)
        rounded = ties.rounded(given, places)
        for channel in channels:
            before = {c: v[rows] for c, v in self._drawn.items() if c < channel}
            values = coder.pixels.code(rounded, channel, before, ask)
            whole = self._drawn.get(channel)
            if whole is None:
                total = self._blocks[-1][0].stop
                whole = self._drawn[channel] = np.zeros((total, len(pixels)), "int64")
            whole[rows] = values

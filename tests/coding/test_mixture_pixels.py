"""Masses in whole numbers against the distribution that they stand for."""

import numpy as np
import pytest
from keras import ops

from tests.tiny import numpy_of
from vlae_tf.coding.decisions import Recorder
from vlae_tf.coding.mixture_pixels import MixturePixels
from vlae_tf.distributions import DiscretisedLogisticMixture

PIXELS, COMPONENTS = 2000, 5


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_pixel_costs_what_the_mixture_says(channels):
    """Of narrow components far from one another: a channel tells which one the next is of."""
    rng = np.random.default_rng(channels)
    size = DiscretisedLogisticMixture.parameter_count(channels, COMPONENTS)
    parameters = rng.normal(size=(PIXELS, size))
    ends = np.cumsum([1, channels, channels]) * COMPONENTS
    parameters[:, ends[0] : ends[1]] *= 0.5
    parameters[:, ends[1] : ends[2]] -= 4.0
    mixture = DiscretisedLogisticMixture.of_parameters(ops.convert_to_tensor(parameters), channels)
    levels = numpy_of(mixture.from_noise(rng.random((PIXELS, channels + 1)))).astype("int64")
    # Edges too, which have all the mass beyond them.
    levels[:200] = rng.choice([0, 255], (200, channels))
    pixels, recorder = MixturePixels(channels, COMPONENTS), Recorder()
    rounded = np.round(parameters * pixels.steps).astype("int64")
    before = {}
    for channel in range(channels):
        symbols = levels[:, channel]
        again = pixels.code(rounded, channel, before, recorder.symbols(symbols))
        np.testing.assert_array_equal(again, symbols)
        before[channel] = symbols
    answers, probabilities = recorder.decisions()
    bits = -np.log2(np.where(answers, probabilities, 1 - probabilities))
    bits = bits.reshape(channels, 8, PIXELS).sum(axis=(0, 1))
    exact = -numpy_of(mixture.log_prob(levels.astype("float64"))) / np.log(2)
    drawn = slice(200, None)
    assert abs(bits[drawn].sum() - exact[drawn].sum()) < 2e-4 * exact[drawn].sum()
    # What is all but impossible costs no more than that: each level has a mass.
    assert (bits[:200] < 32 * channels + 1).all() and exact[:200].max() > 32 * channels

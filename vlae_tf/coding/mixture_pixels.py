import numpy as np

from vlae_tf.coding.decisions import bisected
from vlae_tf.coding.tables import (
    FINE,
    MASS,
    cumulative,
    exponentials,
    hyperbolic_tangents,
    inverse_scales,
)

# Steps a unit of the grids of the means, and of the arguments of the coefficients' tanh.
_MEANS, _COEFFICIENTS = 8192, 1024


class MixturePixels:
    """Pixels of 256 levels, of the masses of `DiscretisedLogisticMixture` in whole numbers.

        P(x < i) = sum_k w_k F((i - 1/2 - m_k) / s_k) + i 2^-32,    up to a factor

    with weights w in 2^-20 and F in 2^-28; the last term gives each level a mass. The channels
    share their component: given the channels before, w_k is multiplied by their masses.

    Args:
        channels: number of channels of a pixel.
        components: number of components of the mixture.
        ordered: whether the network orders the channels, and gives each a mixture of its own.

    Attributes:
        steps: what to multiply each of the network's outputs by before it is rounded.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.coding.mixture_pixels import MixturePixels
        >>> def ask(probabilities, least):
        ...     return probabilities > 2**23
        >>> MixturePixels(1, 1).code(np.array([[0, 4096, -512]]), 0, {}, ask)
        array([192])

    Reference:
        Salimans et al., "PixelCNN++", 2017, equations 1 to 3.
    """

    levels = 256

    def __init__(self, channels, components, ordered=False):
        self.channels, self.components, self.ordered = channels, components, ordered
        together = 1 if ordered else channels
        sizes = [1, together, together, together * (together - 1) // 2]
        grids = [FINE, _MEANS, FINE, _COEFFICIENTS]
        steps = np.repeat(np.array(grids, "float64"), np.array(sizes) * components)
        self.steps = np.tile(steps, channels if ordered else 1)

    def code(self, parameters, channel, before, ask):
        """A channel of pixels, int64 `(...,)`: see `BinaryPixels.code`."""
        if self.ordered:
            size = parameters.shape[-1] // self.channels
            parameters = parameters[..., channel * size : (channel + 1) * size]
            channels, channel, before = 1, 0, {}
        else:
            channels = self.channels
        count = self.components
        logits, means, scales, coefficients = (
            part.reshape(*part.shape[:-1], -1, count)
            for part in np.split(parameters, np.cumsum([1, channels, channels]) * count, axis=-1)
        )
        # In the unit of a level.
        means = (means / _MEANS + 1.0) * 127.5
        distance = logits.max(axis=(-2, -1), keepdims=True) - logits
        weights = exponentials()[np.minimum(distance, len(exponentials()) - 1)][..., 0, :]
        # A component that made the channels before probable weighs more.
        for other in range(channel):
            u = _arguments(other, before, means, scales, coefficients)
            values = before[other][..., None]
            upper = np.where(values == self.levels - 1, MASS, cumulative("logistic", u(values + 1)))
            lower = np.where(values == 0, 0, cumulative("logistic", u(values)))
            weights = _weighed(weights, upper - lower)
        u = _arguments(channel, before, means, scales, coefficients)
        total = weights.sum(axis=-1) * MASS
        floor = np.maximum(total >> 32, 1)

        def mass(level):
            if np.ndim(level) == 0:
                return total + self.levels * floor if level else np.zeros_like(total)
            inside = (weights * cumulative("logistic", u(level[..., None]))).sum(axis=-1)
            return inside + level * floor

        return bisected(mass, self.levels, ask, logits.shape[:-2])


def _arguments(channel, before, means, scales, coefficients):
    """A function of levels, to the arguments of F at the lower edges of them in a channel."""
    loc = means[..., channel, :]
    # Each sum in one order.
    for other in range(channel):
        pair = channel * (channel - 1) // 2 + other
        half = len(hyperbolic_tangents()) // 2
        place = np.clip(coefficients[..., pair, :], -half, half) + half
        coupling = hyperbolic_tangents()[place]
        loc = loc + coupling * (before[other][..., None] - means[..., other, :])
    least, table = -7 * FINE, inverse_scales()
    place = np.clip(scales[..., channel, :], least, least + len(table) - 1) - least
    inverse = table[place] * (1.0 / 127.5)
    return lambda level: (level - 0.5 - loc) * inverse


def _weighed(weights, masses):
    """Weights times masses, whole numbers of which the largest is 2^20."""
    product = (weights * masses).astype("float64")
    largest = product.max(axis=-1, keepdims=True)
    weighed = np.floor(product * (1 << 20) / np.maximum(largest, 1.0)).astype("int64")
    return np.where(largest > 0, weighed, weights)

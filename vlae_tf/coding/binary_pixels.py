import numpy as np

from vlae_tf.coding.tables import FINE, odds


class BinaryPixels:
    """Binary pixels, each a decision with its log-odds rounded to 2^-8.

    Args:
        channels: number of channels of a pixel, which are independent given the network's outputs.

    Attributes:
        steps: what to multiply each of the network's outputs by before it is rounded.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.coding.binary_pixels import BinaryPixels
        >>> def ask(probabilities, least):
        ...     return probabilities > 2**23
        >>> BinaryPixels(1).code(np.array([[-256], [256]]), 0, {}, ask)
        array([0, 1])
    """

    def __init__(self, channels):
        self.steps = np.full(channels, FINE, "float64")

    def code(self, parameters, channel, before, ask):
        """A channel of pixels, int64 `(...,)`.

        Args:
            parameters: the network's outputs times `steps`, rounded, `(..., channels)`.
            channel: number of the channel.
            before: the channels of these pixels that are known, a dict by number.
            ask: what answers the decisions (see `decisions.bisected`).
        """
        place = np.clip(parameters[..., channel], 1 - len(odds()) // 2, len(odds()) // 2)
        probabilities = odds()[place + len(odds()) // 2]
        return np.asarray(ask(probabilities, np.ones_like(probabilities)), "int64")

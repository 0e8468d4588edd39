import inspect

import numpy as np
from keras import ops

from vlae_tf.backend import scan
from vlae_tf.distributions.wavefront import Wavefront
from vlae_tf.layers import MaskedConv2D
from vlae_tf.layers.column_cache import ColumnCache


def draw(network, conditioning, choose, inputs, training=False):
    """Draw images of {0, 1} from an autoregressive network along its wavefront.

    Each step computes one column of each layer (`ColumnCache`) and chooses the pixels of that
    column. A network whose `call` takes no `cache` makes a whole pass for each step instead.

    Args:
        network: a PixelCNN with a `receptive_field`, from images scaled to -1..1 and conditioning
            to parameters `(batch, height, width, ...)`.
        conditioning: maps `(batch, height, width, maps)`.
        choose: maps parameters and `inputs` at the same places to pixels, float32.
        inputs: tensors `(batch, height, width, channels)`, the first with the image's channels.
        training: passed on to the network (dropout).

    Returns:
        Images `(batch, height, width, channels)`.
    """
    height, width = conditioning.shape[1:3]
    slope = network.receptive_field.slope
    if "cache" not in inspect.signature(network.call).parameters:
        return Wavefront(height, width, slope).fill(
            lambda images: choose(
                network_parameters(network, images, conditioning, training), *inputs
            ),
            ops.zeros_like(inputs[0]),
        )

    masked = [layer for layer in network._flatten_layers() if isinstance(layer, MaskedConv2D)]
    front = Wavefront(
        height,
        width,
        slope=max(slope, *(layer.slope for layer in masked)),
        side=max(layer.kernel_size[1] // 2 for layer in masked),
    )
    # Some layers run ahead of the pixels: they start before the first of them.
    ahead = getattr(network, "lookahead", 0)
    times = np.arange(-ahead, front.steps)
    _, inside = front.places(np.arange(-ahead - 1, front.steps + ahead))
    inside = ops.convert_to_tensor(inside[:, :, None, None].astype("float32"))

    def run(index, pixels, conditioning, state=None, constants=None):
        cache = ColumnCache(front.slope, lambda lead: inside[index + lead + 1], state, constants)
        return cache, network_parameters(network, pixels, conditioning, training, cache=cache)

    def step(carry, inputs):
        pixels, state = carry
        index, conditioning, *inputs = inputs
        cache, outputs = run(index, pixels, conditioning, state, first.constants)
        pixels = choose(outputs, *inputs)
        return (pixels, cache.state), pixels

    columns = [front.columns(conditioning, times + ahead)]
    columns += [front.columns(tensor, times) for tensor in inputs]
    blank = ops.zeros_like(columns[1][0])
    first, _ = run(0, blank, columns[0][0])
    carry = blank, [ops.zeros_like(column) for column in first.state]
    _, drawn = scan(step, carry, [np.arange(len(times)), *columns])
    return front.images(drawn[ahead:])


def network_parameters(network, images, conditioning, training=False, **kwargs):
    """The network's output for images of {0, 1}, float32."""
    scaled = 2.0 * ops.cast(images, "float32") - 1.0
    return ops.cast(network(scaled, conditioning, training=training, **kwargs), "float32")

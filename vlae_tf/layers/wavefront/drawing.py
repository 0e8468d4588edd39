import inspect

import numpy as np
from keras import ops

from vlae_tf.backend import scan
from vlae_tf.layers.wavefront.column_cache import ColumnCache
from vlae_tf.layers.wavefront.order import Wavefront


def draw(network, outputs, conditioning, choose, inputs, channels):
    """Draw images from an autoregressive network along its wavefront.

    Each step computes one column of each layer (`ColumnCache`) and chooses the pixels of that
    column, their channel groups one after another. A network whose `call` takes no `cache` makes
    whole passes for each step instead.

    Args:
        network: a PixelCNN with a `receptive_field` and, where its channels have an order,
            `groups`.
        outputs: function of images, conditioning and, where they are given, a `cache` and the
            pixels `current`, to the network's outputs, `(batch, height, width, ...)`.
        conditioning: maps `(batch, height, width, maps)`.
        choose: function of the network's outputs and `inputs` at the same places, to pixels,
            float32.
        inputs: tensors `(batch, height, width, ...)`.
        channels: number of channels of the images.

    Returns:
        Images `(batch, height, width, channels)`.
    """
    height, width = conditioning.shape[1:3]
    # A group is right once those before it are, and is then drawn again, to the same values.
    groups = getattr(network, "groups", 1)
    if not draws_by_columns(network):
        return Wavefront(height, width, network.receptive_field.slope).fill(
            lambda images: choose(outputs(images, conditioning), *inputs),
            _blank(inputs[0], channels),
            rounds=groups,
        )

    front, times = column_order(network, height, width)
    ahead = -times[0]
    _, inside = front.places(np.arange(-ahead - 1, front.steps + ahead))
    inside = inside[:, :, None, None].astype("float32")

    def masks(lead):
        return inside[lead + 1 :][: len(times)]

    def run(cache, before, current, conditioning):
        return outputs(before, conditioning, cache=cache, current=current)

    def step(carry, inputs):
        before, state = carry
        conditioning, *inputs = inputs
        inputs, known = inputs[: len(columns) - 1], inputs[len(columns) - 1 :]
        known = dict(zip(first.masks, known, strict=True))
        pixels = ops.zeros_like(before)
        for _ in range(groups):
            cache = ColumnCache(front.slope, known.get, state, first)
            pixels = choose(run(cache, before, pixels, conditioning), *inputs)
        return (pixels, cache.state), pixels

    columns = [front.columns(conditioning, times + ahead)]
    columns += [front.columns(tensor, times) for tensor in inputs]
    blank = _blank(columns[1][0], channels)
    first = ColumnCache(front.slope, lambda lead: masks(lead)[0])
    run(first, blank, blank, columns[0][0])
    carry = blank, [ops.zeros_like(column) for column in first.state]
    _, drawn = scan(step, carry, [*columns, *map(masks, first.masks)], blank.dtype)
    return front.images(drawn[ahead:])


def draws_by_columns(network):
    """Whether a network runs column by column: its `call` takes a `cache`."""
    return "cache" in inspect.signature(network.call).parameters


def column_order(network, height, width):
    """The `Wavefront` along which such a network is drawn from, and the time of each step."""
    masked = [layer for layer in network._flatten_layers() if hasattr(layer, "slope")]
    front = Wavefront(
        height,
        width,
        slope=max(network.receptive_field.slope, *(layer.slope for layer in masked)),
        side=max(layer.kernel_size[1] // 2 for layer in masked),
    )
    # Some layers run ahead of the pixels: they start before the first of them.
    return front, np.arange(-getattr(network, "lookahead", 0), front.steps)


def _blank(tensor, channels):
    """Zeros of the shape of `tensor`, but with so many channels."""
    return ops.repeat(ops.zeros_like(tensor[..., :1]), channels, axis=-1)

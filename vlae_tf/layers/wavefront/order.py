import numpy as np
from keras import ops


class Wavefront:
    """The order in which an autoregressive window lets an image be made, many pixels a step.

    If pixel (i, j) sees row i - d no further than column j + slope * d, all pixels with equal

        t = j + (slope + 1) i

    are independent given those with smaller t: width + (slope + 1) (height - 1) steps in place of
    height * width, and the same pixels.

    The pixels of one step are a column: row i lies in slot i mod `slots`. No two pixels of a step
    share a slot, and none takes the slot where a convolution looks for one beyond the image's edge.

    Args:
        height: height of the image.
        width: width of the image.
        slope: slope of the window (`ReceptiveField.slope`); `width - 1` is plain raster order.
        side: number of columns to each side that a convolution looks at.

    Example:
        >>> from vlae_tf.layers.wavefront.order import Wavefront
        >>> Wavefront(28, 28, slope=1, side=1).steps
        82
    """

    def __init__(self, height, width, slope, side=0):
        self.height, self.width, self.slope = height, width, slope
        self.steps = width + (slope + 1) * (height - 1)
        self.slots = -(-(width + side) // (slope + 1))

    def fill(self, choose, images, rounds=1):
        """Fill images with whole passes, for networks that cannot run column by column.

        Args:
            choose: function of images `(batch, height, width, channels)` that are right up to some
                t, to new pixels for all positions. Each step keeps those of its own t.
            images: images to start from.
            rounds: number of times that each step does so. From the second on, `choose` sees the
                pixels of this t too.
        """
        front = np.add.outer((self.slope + 1) * np.arange(self.height), np.arange(self.width))
        front = ops.convert_to_tensor(front[None, :, :, None].astype("int32"))

        def step(t, images):
            for _ in range(rounds):
                images = ops.where(ops.equal(front, t), choose(images), images)
            return images

        return ops.fori_loop(0, self.steps, step, images)

    def places(self, times):
        """Each slot's index in the flattened image at these times, and which slots have one."""
        last = np.asarray(times)[:, None] // (self.slope + 1)
        row = last - (last - np.arange(self.slots)) % self.slots
        column = np.asarray(times)[:, None] - (self.slope + 1) * row
        inside = (0 <= row) & (row < self.height) & (column < self.width)
        return np.where(inside, row * self.width + column, 0), inside

    def columns(self, images, times):
        """The columns `(times, batch, slots, 1, channels)` of images at these times.

        Slots without a pixel hold some pixel's value.
        """
        index = self.places(times)[0].reshape(-1)
        channels = images.shape[-1]
        flat = ops.reshape(images, (-1, self.height * self.width, channels))
        columns = ops.take(flat, index, axis=1)
        columns = ops.reshape(columns, (-1, len(times), self.slots, 1, channels))
        return ops.transpose(columns, (1, 0, 2, 3, 4))

    def images(self, columns):
        """The images of the columns of all times: what `columns` took apart."""
        row, column = np.divmod(np.arange(self.height * self.width), self.width)
        time, slot = column + (self.slope + 1) * row, row % self.slots
        channels = columns.shape[-1]
        flat = ops.transpose(columns, (1, 0, 2, 3, 4))
        flat = ops.reshape(flat, (-1, columns.shape[0] * self.slots, channels))
        pixels = ops.take(flat, time * self.slots + slot, axis=1)
        return ops.reshape(pixels, (-1, self.height, self.width, channels))

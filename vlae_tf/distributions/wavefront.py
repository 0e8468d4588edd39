import numpy as np
from keras import ops


def wavefront(choose, images, slope):
    """Fill images in the order that an autoregressive window allows, many pixels a step.

    If pixel (i, j) sees row i - d no further than column j + slope * d, all pixels with equal
    t = j + (slope + 1) * i are independent given those with smaller t. Step t asks `choose` for all
    pixels and keeps those of its own front: width + (slope + 1) * (height - 1) steps in place of
    height * width, and the same pixels.

    Args:
        choose: maps images `(batch, height, width, channels)`, right up to some t, to new pixels
            for all positions.
        images: where to start, all zeros for a new image.
        slope: of the window (`ReceptiveField.slope`); `width - 1` is plain raster order.

    Returns:
        The images, of the same shape.
    """
    height, width = images.shape[1:3]
    front = np.arange(width)[None, :] + (slope + 1) * np.arange(height)[:, None]
    front = ops.convert_to_tensor(front[None, :, :, None].astype("int32"))

    def step(t, images):
        return ops.where(ops.equal(front, t), choose(images), images)

    return ops.fori_loop(0, width + (slope + 1) * (height - 1), step, images)

"""A picture of one's own, as an image that a model takes."""

import io

import numpy as np
from PIL import Image, ImageOps

from vlae_tf.checks import refuse
from vlae_tf.pictures.picture import FORMATS, read_picture

_MOST_PIXELS = 40_000_000


def picture_to_image(data, image_shape, levels):
    """The picture in `data`, the bytes of a file, as a uint8 image of this shape.

    It is turned upright, laid over white, scaled to fit and centred. For a binary model, what
    differs from the ground of the border is ink, 1.

    Raises:
        ValueError: for bytes that are no picture, one of more than 40 million pixels, and one so
            long that nothing of its other side is left.
    """
    pixels = _read(data)
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    height, width, channels = image_shape
    if max(picture.size) >= 2 * min(height, width) * min(picture.size):
        received = f"{picture.width} x {picture.height} pixels"
        refuse("picture", f"scaled to {width} x {height}, a pixel wide at least", None, received)
    picture = picture.convert("L" if channels == 1 else "RGB")
    border = np.asarray(picture)
    edge = np.concatenate([border[0], border[-1], border[:, 0], border[:, -1]])
    colour = tuple(int(c) for c in np.median(edge.reshape(len(edge), -1), axis=0))
    fill = colour[0] if channels == 1 else colour
    pixels = np.asarray(ImageOps.pad(picture, (width, height), color=fill)).reshape(image_shape)
    if levels == 2:
        return (np.abs(pixels.astype("int16") - colour[0]) > 96).astype("uint8")
    return pixels.astype("uint8")


def _read(data):
    """The pixels, as `read_picture` has them; how many is known before they are made."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            width, height = opened.size
    # Pillow raises many kinds of errors for broken files, for which the reader has words.
    except Exception:
        width = height = 0
    if width * height > _MOST_PIXELS:
        received = f"{width} x {height} pixels"
        refuse("picture", f"of at most {_MOST_PIXELS:,} pixels", None, received)
    try:
        return read_picture(data)
    except ValueError as error:
        return refuse("picture", "a file that Pillow reads, such as PNG or JPEG", None, str(error))

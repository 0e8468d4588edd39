"""A picture of one's own, as an image that a model takes."""

import io

import numpy as np
from PIL import Image, ImageOps

from vlae_tf.checks import refuse

_MOST_PIXELS = 40_000_000


def picture_to_image(data, image_shape, levels):
    """The picture in `data`, the bytes of a file, as a uint8 image of this shape.

    It is turned upright, laid over white, scaled to fit and centred. For a binary model, what
    differs from the ground of the border is ink, 1.

    Raises:
        ValueError: for bytes that are no picture, or one of more than 40 million pixels.
    """
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > _MOST_PIXELS:
            received = f"{picture.width} x {picture.height} pixels"
            refuse("picture", f"of at most {_MOST_PIXELS:,} pixels", None, received)
        picture = ImageOps.exif_transpose(picture).convert("RGBA")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        refuse("picture", "a file that Pillow reads, such as PNG or JPEG", None, str(error))
    ground = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(ground, picture)
    height, width, channels = image_shape
    picture = picture.convert("L" if channels == 1 else "RGB")
    border = np.asarray(picture)
    edge = np.concatenate([border[0], border[-1], border[:, 0], border[:, -1]])
    colour = tuple(int(c) for c in np.median(edge.reshape(len(edge), -1), axis=0))
    fill = colour[0] if channels == 1 else colour
    pixels = np.asarray(ImageOps.pad(picture, (width, height), color=fill)).reshape(image_shape)
    if levels == 2:
        return (np.abs(pixels.astype("int16") - colour[0]) > 96).astype("uint8")
    return pixels.astype("uint8")

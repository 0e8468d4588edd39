"""One picture as an array: the same rules for folders, files, clients and recipes."""

import io
import warnings
from collections.abc import Sequence

import numpy as np

from vlae_tf.checks import check_image_shape, refuse
from vlae_tf.files import PathLike

# What is read of all that Pillow knows: no format that runs another program or is a vector drawing.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM")
SUFFIXES = tuple(
    ".png .jpg .jpeg .jpe .jfif .tif .tiff .webp .bmp .gif .pgm .ppm .pbm .pnm".split()
)
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")


def read_picture(
    source: PathLike | bytes, image_shape: Sequence[int] | None = None, name: str | None = None
) -> np.ndarray:
    """A picture as uint8 intensities 0..255, `(height, width, channels)`.

    Upright by its EXIF orientation; of 16 bits the upper 8; transparent pictures over white; of an
    animation the first frame. Grey (1 channel) is 0.299 R + 0.587 G + 0.114 B.

    Args:
        source: path of the file, or its bytes. PNG, JPEG, TIFF, WebP, BMP, GIF and PNM are read.
        image_shape: `(height, width, channels)`, with 1 or 3 channels, to which the picture is
            resized (bilinear, averaged over all pixels that a new, larger pixel covers) and
            converted. None: its own size, and 1 channel if it is stored as shades of grey.
        name: name of the picture in errors, where `source` is bytes.

    Raises:
        ValueError: names a picture that cannot be read, has more pixels than Pillow takes, has more
            than 16 bits a channel, or shows nothing over white.
        OSError: the file cannot be opened.

    Example:
        >>> read_picture(b"P5 2 1 255 \\x00\\xff").ravel()
        array([  0, 255], dtype=uint8)
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    if image_shape is not None and check_image_shape(image_shape)[2] not in (1, 3):
        refuse("image_shape", "(height, width, channels) with 1 or 3 channels", image_shape)
    opening = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")
    # Filters of warnings are the whole process's: nothing but what is printed depends on them.
    with opening as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=FORMATS) as opened:
                _check_size(opened, Image.MAX_IMAGE_PIXELS)
                _check_transparent_colour(opened)
                picture = _sixteen_to_eight(ImageOps.exif_transpose(opened), opened.format)
            grey, (picture, transparent) = _is_grey(picture), _opaque(picture)
        # Nothing else is done here but to read a file, which may be anything: Pillow raises many
        # kinds of errors for broken ones.
        except UnidentifiedImageError as error:
            formats = ", ".join(FORMATS)
            raise ValueError(f"{name} cannot be read as a picture: none of {formats}") from error
        except Exception as error:
            raise ValueError(f"{name} cannot be read as a picture: {error}") from error
    channels = image_shape[2] if image_shape is not None else 1 if grey else 3
    picture = picture.convert("L" if channels == 1 else "RGB")
    if image_shape is not None:
        # One direction after the other, in an order that does not depend on Pillow's version.
        for size in (image_shape[1], picture.height), image_shape[1::-1]:
            picture = picture.resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(picture).reshape(picture.height, picture.width, channels)
    if transparent and pixels.min() == 255:
        raise ValueError(
            f"{name} must show something over white, over which transparent pictures are laid: "
            "lay it over another ground first. Received: a picture that is white all over then"
        )
    return pixels


def image_picture(image, levels):
    """An image of a model of so many levels, `(height, width, 1 or 3)`, as Pillow's."""
    from PIL import Image

    pixels = image[..., 0] if image.shape[-1] == 1 else image
    return Image.fromarray(pixels * (255 // (levels - 1)))


def _check_size(opened, most):
    """Raises where Pillow only warns."""
    if most is not None and opened.width * opened.height > most:
        raise ValueError(f"its {opened.width} x {opened.height} pixels are more than {most:,}")


def _check_transparent_colour(opened):
    """Raises for one of 16 bits, which cannot be found among the 8 that Pillow gives."""
    if isinstance(opened.info.get("transparency"), tuple) and "RGB;16" in str(opened.tile):
        raise ValueError("its transparent colour has 16 bits a channel")


def _sixteen_to_eight(picture, stored_as):
    """The picture, with the upper 8 of 16 bits."""
    from PIL import Image

    # In PNM and PNG files Pillow's 32 bits hold 16.
    wide = picture.mode in _SIXTEEN_BITS or (picture.mode == "I" and stored_as in ("PPM", "PNG"))
    if not wide:
        if picture.mode in ("I", "F"):
            raise ValueError(f"it must have 8 or 16 bits a channel. Received: mode {picture.mode}")
        return picture
    values = np.asarray(picture)
    eight = Image.fromarray((values >> 8).astype("uint8"))
    if "transparency" in picture.info:
        opaque = np.where(values == picture.info["transparency"], 0, 255).astype("uint8")
        eight.putalpha(Image.fromarray(opaque))
    return eight


def _is_grey(picture):
    if picture.mode in ("P", "PA"):
        red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)
        return bool((red == green).all() and (green == blue).all())
    return picture.mode in ("1", "L", "LA", "La")


def _opaque(picture):
    """The picture in RGB, over white where it is transparent, and whether it was."""
    from PIL import Image

    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        ground = Image.new("RGB", picture.size, "white")
        ground.paste(picture, mask=alpha)
        return ground, alpha.getextrema()[0] < 255
    if picture.mode == "CMYK":
        # As TensorFlow and libjpeg's users convert it; Pillow rounds elsewhere.
        light = 255 - np.asarray(picture).astype("uint16")
        return Image.fromarray((light[..., :3] * light[..., 3:] // 255).astype("uint8")), False
    return picture.convert("RGB"), False

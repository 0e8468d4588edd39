"""A picture of one's own, of any kind, becomes an image that the model takes."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.serving.mutated import mutant
from vlae_tf.explorer.pictures import picture_to_image


def written(picture, kind="PNG", **options):
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def stroke(mode, ground, ink):
    picture = Image.new(mode, (60, 60), ground)
    ImageDraw.Draw(picture).rectangle((20, 10, 39, 49), fill=ink)
    return picture


EXPECTED = np.zeros((6, 6, 1), "uint8")
EXPECTED[1:5, 2:4] = 1


@pytest.mark.parametrize(
    "data",
    [
        written(stroke("L", 255, 0)),
        written(stroke("L", 0, 255)),
        written(stroke("1", 1, 0)),
        written(stroke("RGB", "white", "navy"), "JPEG", quality=95),
        written(stroke("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), "JPEG", quality=95),
        written(stroke("RGBA", (0, 0, 0, 0), (0, 0, 0, 255))),
        written(stroke("LA", (0, 0), (0, 255))),
        written(stroke("RGB", "white", "black").quantize(2), "GIF"),
        written(stroke("RGB", "white", "black"), "WEBP", lossless=True),
        written(stroke("RGB", "white", "black"), "BMP"),
    ],
    ids="grey dark one-bit jpeg cmyk transparent grey-alpha gif webp bmp".split(),
)
def test_ink_is_found_on_any_ground(data):
    np.testing.assert_array_equal(picture_to_image(data, (6, 6, 1), 2), EXPECTED)


def test_a_picture_is_turned_upright_and_keeps_its_proportions():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    wide = Image.new("RGB", (80, 40), "red")
    data = written(wide, "JPEG", exif=exif, quality=95)
    image = picture_to_image(data, (8, 8, 3), 256)
    assert image.shape == (8, 8, 3) and image.dtype == np.uint8
    assert (image[..., 0] > 240).all() and (image[..., 1:] < 20).all()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "a file that Pillow reads"),
        (b"no picture", "a file that Pillow reads"),
        (written(stroke("L", 0, 9))[:60], "a file that Pillow reads"),
        (written(stroke("RGB", 0, 9), "EPS"), "none of PNG"),
        (written(Image.new("1", (10_000, 5_000))), "at most 40,000,000 pixels"),
        (written(Image.new("1", (20_000, 20_000))), "exceeds limit"),
        (written(Image.new("L", (900, 2))), "scaled to 6 x 6, a pixel wide at least"),
    ],
)
def test_what_is_no_picture_is_refused(data, words):
    with pytest.raises(ValueError, match=f"`picture` must be .*{words}"):
        picture_to_image(data, (6, 6, 1), 2)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_a_picture_of_16_bits_keeps_its_shades(kind):
    shades = np.full((60, 60), 60_000, "uint16")
    shades[10:50, 20:40] = 5_000
    data = written(Image.fromarray(shades), kind)
    np.testing.assert_array_equal(picture_to_image(data, (6, 6, 1), 2), EXPECTED)
    grey = picture_to_image(data, (6, 6, 1), 256)[..., 0]
    assert abs(int(grey[0, 0]) - (60_000 >> 8)) < 2 and grey[2, 2] < 60


def test_mutants_of_a_file_are_pictures_or_refused():
    rng = np.random.default_rng(0)
    data = [
        written(stroke("RGB", "white", "black"), kind, **options)
        for kind, options in (
            ("PNG", {}),
            ("JPEG", {}),
            ("GIF", {}),
            ("TIFF", {"compression": "tiff_lzw"}),
            ("WEBP", {}),
            ("BMP", {}),
            ("PPM", {}),
        )
    ]
    refused = 0
    for number in range(700):
        try:
            image = picture_to_image(mutant(data[number % len(data)], rng), (6, 6, 1), 2)
            assert image.shape == (6, 6, 1) and image.max() <= 1
        except ValueError as error:
            assert str(error).startswith("`picture` must be ")
            refused += 1
    assert refused > 50

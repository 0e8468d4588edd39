"""Pictures of every kind as bytes, with the array that each must become."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

SIZE = 8
_RNG = np.random.default_rng(0)
GREY = _RNG.integers(0, 256, (SIZE, SIZE, 1)).astype("uint8")
COLOUR = _RNG.integers(0, 256, (SIZE, SIZE, 3)).astype("uint8")
ALPHA = _RNG.integers(0, 256, (SIZE, SIZE, 1)).astype("uint8")
DEEP = _RNG.integers(0, 2**16, (SIZE, SIZE)).astype("uint16")


def saved(image, kind="PNG", **options):
    """The bytes of an array, or of a `PIL.Image`, in a format of Pillow."""
    file = io.BytesIO()
    image = Image.fromarray(image.squeeze()) if isinstance(image, np.ndarray) else image
    image.save(file, kind, **options)
    return file.getvalue()


def png(depth, colour, rows, extra=b"", size=(SIZE, SIZE)):
    """A PNG of rows of bytes, of kinds that Pillow does not write."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    trns = chunk(b"tRNS", extra) if extra else b""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), trns, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    )


def over_white(pixels, alpha):
    return np.round(pixels * (alpha / 255) + 255 * (1 - alpha / 255)).astype("uint8")


def grey_of(colours):
    """0.299 R + 0.587 G + 0.114 B, in whole numbers of 2 ** -16."""
    weights = np.array([19595, 38470, 7471])
    return ((colours.astype(int) @ weights + 2**15) >> 16).astype("uint8")[..., None]


def _oriented(orientation, kind):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a maker", orientation
    return saved(COLOUR, kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {}))


# What EXIF's orientations do to stored pixels.
_TURNS = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: np.swapaxes(x, 0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(np.swapaxes(x, 0, 1), 2),
    8: lambda x: np.rot90(x),
}
_INK = np.where(np.eye(SIZE)[..., None], 255, 0).astype("uint8")
_PALETTE = Image.fromarray(COLOUR).quantize(16)
_SHADES = Image.new("P", (SIZE, SIZE))
_SHADES.putdata([int(v) % 4 for v in GREY.ravel()])
_SHADES.putpalette([v for shade in (10, 90, 170, 250) for v in (shade,) * 3])
_QUARTERS = np.array([10, 90, 170, 250])[GREY % 4].astype("uint8")

# Name: bytes, and the array of the picture's own size and channels; None for one to refuse.
PICTURES = {
    "grey": (saved(GREY), GREY),
    "colour": (saved(COLOUR), COLOUR),
    "black ink on nothing": (
        saved(np.concatenate([0 * COLOUR, _INK], -1)),
        over_white(0 * COLOUR, _INK),
    ),
    "half transparent": (saved(np.concatenate([COLOUR, ALPHA], -1)), over_white(COLOUR, ALPHA)),
    "grey with alpha": (
        saved(Image.merge("LA", [Image.fromarray(x[..., 0]) for x in (GREY, ALPHA)])),
        over_white(GREY, ALPHA),
    ),
    "one grey is transparent": (
        saved(GREY, transparency=int(GREY[0, 0, 0])),
        np.where(GREY == GREY[0, 0], 255, GREY),
    ),
    "one colour is transparent": (
        saved(COLOUR, transparency=tuple(map(int, COLOUR[0, 0]))),
        np.where((COLOUR == COLOUR[0, 0]).all(-1, keepdims=True), 255, COLOUR),
    ),
    "opaque alpha": (saved(np.concatenate([COLOUR, 0 * ALPHA + 255], -1)), COLOUR),
    "palette": (saved(_PALETTE), np.asarray(_PALETTE.convert("RGB"))),
    "palette with alpha": (
        saved(_PALETTE, transparency=bytes(range(0, 256, 16))),
        over_white(
            np.asarray(_PALETTE.convert("RGB")),
            (np.asarray(_PALETTE) * 16).astype("uint8")[..., None],
        ),
    ),
    "palette of greys": (saved(_SHADES), _QUARTERS),
    "one bit": (saved(Image.fromarray(GREY[..., 0] > 99)), (GREY > 99).astype("uint8") * 255),
    "two bits": (png(2, 0, [b"\x1b\x1b"] * SIZE), np.tile([0, 85, 170, 255], 16).reshape(8, 8, 1)),
    "16 bits": (saved(DEEP), (DEEP >> 8)[..., None]),
    "16 bits, one transparent": (
        saved(DEEP, transparency=int(DEEP[0, 0])),
        np.where(DEEP == DEEP[0, 0], 255, DEEP >> 8)[..., None],
    ),
    "16 bits of colour": (
        png(16, 2, [row.tobytes() for row in np.repeat(COLOUR, 2, -1)]),
        COLOUR,
    ),
    "a mask of 0 and 1": (saved((GREY > 99).astype("uint8")), (GREY > 99).astype("uint8")),
    "16 bits, one colour transparent": (
        png(16, 2, [row.tobytes() for row in np.repeat(COLOUR, 2, -1)], bytes(6)),
        None,
    ),
    "white ink on nothing": (saved(np.concatenate([0 * COLOUR + 255, _INK], -1)), None),
    "nothing": (saved(np.zeros((SIZE, SIZE, 4), "uint8")), None),
    "no picture": (b"no picture", None),
    "no bytes": (b"", None),
    "half a PNG": (saved(COLOUR)[:-60], None),
    "half a JPEG": (saved(COLOUR, "JPEG")[:-60], None),
    "too many pixels": (png(8, 0, [bytes(SIZE)] * SIZE, size=(50_000, 50_000)), None),
    **{f"PNG, turned {o}": (_oriented(o, "PNG"), turn(COLOUR)) for o, turn in _TURNS.items()},
}
# Lossy formats: what Pillow decodes, turned upright.
for _name, _data, _turn in [
    ("JPEG", saved(COLOUR, "JPEG"), _TURNS[1]),
    ("grey JPEG", saved(GREY, "JPEG"), _TURNS[1]),
    ("progressive JPEG", saved(COLOUR, "JPEG", progressive=True, subsampling=2), _TURNS[1]),
    *[(f"JPEG of orientation {o}", _oriented(o, "JPEG"), turn) for o, turn in _TURNS.items()],
]:
    _pixels = np.asarray(Image.open(io.BytesIO(_data)))
    PICTURES[_name] = (_data, _turn(_pixels.reshape(SIZE, SIZE, -1)))
_ink = np.asarray(Image.open(io.BytesIO(saved(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"))))
_light = 255 - _ink.astype(int)
PICTURES["CMYK JPEG"] = (
    saved(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"),
    _light[..., :3] * _light[..., 3:] // 255,
)
# Formats that TensorFlow's graph does not read.
OTHERS = {
    "TIFF": (saved(COLOUR, "TIFF"), COLOUR),
    "TIFF of 16 bits": (saved(DEEP, "TIFF"), (DEEP >> 8)[..., None]),
    "TIFF of real numbers": (saved(np.float32(GREY), "TIFF"), None),
    "WebP": (saved(COLOUR, "WEBP", lossless=True), COLOUR),
    "BMP": (saved(COLOUR, "BMP"), COLOUR),
    "GIF": (saved(GREY, "GIF"), GREY),
    "animated GIF": (
        saved(GREY, "GIF", save_all=True, append_images=[Image.fromarray(COLOUR).convert("L")]),
        GREY,
    ),
    "PGM": (saved(GREY, "PPM"), GREY),
    "PGM of 16 bits": (
        b"P5 8 8 65535 " + DEEP.astype(">u2").tobytes(),
        (DEEP >> 8)[..., None],
    ),
}

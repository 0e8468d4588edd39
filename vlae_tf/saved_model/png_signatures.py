import math

import tensorflow as tf

from vlae_tf.pictures.threshold import THRESHOLD

# Pixels of a picture that is read.
_LARGEST = 2**24
# The orientation of EXIF data: entries of 12 bytes behind their header, in either order of bytes,
# among them tag 0x112, a short integer. An answer of one byte is the orientation.
_ORIENTATION = (
    r"(?s)^\C*?(?:Exif\x00\x00|eXIf)(?:"
    r"II\x2a\x00\x08\x00{3}\C{2}(?:\C{12}){0,40}?\x12\x01\x03\x00\x01\x00{3}([\x01-\x08])|"
    r"MM\x00\x2a\x00{3}\x08\C{2}(?:\C{12}){0,40}?\x01\x12\x00\x03\x00{3}\x01\x00([\x01-\x08])"
    r")\C*$"
)
# Pillow's weights of a resized picture are whole multiples of 2 ** -22.
_BITS = 22
# Whether rows and columns are in turned order, by orientation.
_TURNED = [(o in (3, 4, 7, 8), o in (2, 3, 6, 7)) for o in range(9)]
# Rows of a picture that are resized at once.
_BAND = 32


class PNGSignatures:
    """The signatures of `Signatures` with pictures as PNG bytes: `encode_png`, `sample_png`, ...

    Their input and output is `image_bytes`, one string a row, in place of `image`. Over REST,
    TensorFlow Serving and its clients write bytes as `{"b64": "..."}`. Input pictures are read by
    the rules of `vlae_tf.pictures.read_picture`, to the same pixels, and for a binary model made
    binary by those of `vlae_tf.pictures.thresholded`. Output pictures of a binary model are black
    and white.

    A picture that is neither PNG nor JPEG, is broken, has more than 2^24 pixels, or shows nothing
    over white is answered by NaN, the cluster -1 and a blank picture in its row.

    Args:
        functions: dict of the signatures by name.
        image_shape: shape of the model's images, `(height, width, channels)`.
        levels: number of levels of the model's pixels.

    Raises:
        ValueError: for a model with neither one channel nor three, or a binary one with three.

    Example:
        >>> import tensorflow as tf
        >>> from vlae_tf.saved_model.png_signatures import PNGSignatures
        >>> functions = {"decode": lambda code: {"image": tf.ones((len(code), 8, 8, 1), tf.uint8)}}
        >>> pictures = PNGSignatures(functions, (8, 8, 1))
        >>> answer = pictures.call("decode", code=tf.zeros((1, 4)))
        >>> answer["image_bytes"].numpy()[0][1:4]
        b'PNG'
    """

    def __init__(self, functions, image_shape, levels=2):
        self.functions = functions
        self.image_shape = image_shape
        self.levels = levels
        if self.image_shape[-1] not in ((1,) if levels == 2 else (1, 3)):
            raise ValueError(
                "`png` needs a binary model of one channel, or one of 256 levels and one or three. "
                f"Received: image_shape={self.image_shape}, levels={levels}"
            )

    def call(self, name, image_bytes=None, **inputs):
        """The signature `name`, with `image_bytes` in place of `image`."""
        if image_bytes is None:
            outputs = self.functions[name](**inputs)
        else:
            inputs["image"], readable = self._read(image_bytes)
            outputs = {
                key: _only(readable, value) for key, value in self.functions[name](**inputs).items()
            }
        if "image" in outputs:
            outputs["image_bytes"] = self._write(outputs.pop("image"))
        return outputs

    def _read(self, image_bytes):
        """The images, and for each whether it could be read."""
        readable = _readable(image_bytes)
        nothing = tf.io.encode_png(tf.zeros((1, 1, 1), tf.uint8))
        image_bytes = tf.where(readable, image_bytes, nothing)
        kinds = tf.TensorSpec(self.image_shape, tf.uint8), tf.TensorSpec((), tf.bool)
        # One at a time, since a picture may be large.
        images, shown = tf.map_fn(
            self._picture, image_bytes, fn_output_signature=kinds, parallel_iterations=1
        )
        return images, readable & shown

    def _picture(self, data):
        """One image, and whether it shows anything over white."""
        pixels = _decode(data)
        picture = self._resize(_upright(pixels, data))
        shown = (tf.reduce_min(pixels[..., 3]) == 255) | (tf.reduce_min(picture) < 255)
        if self.levels == 2:
            binary = tf.reduce_max(picture) <= 1
            picture = tf.where(binary, picture, tf.cast(picture >= THRESHOLD, tf.uint8))
        return picture, shown

    def _resize(self, rgba):
        """RGBA over white, in the model's size and channels: as Pillow does it, digit for digit."""
        height, width, channels = self.image_shape
        rows = tf.shape(rgba)[0]
        across, down = _weights(tf.shape(rgba)[1], width), _weights(rows, height)

        def narrow(rgba):
            values = tf.cast(rgba, tf.int32)
            alpha = values[..., 3:]
            rgb = (values[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
            if channels == 1:
                grey = tf.reduce_sum(rgb * [19595, 38470, 7471], axis=-1, keepdims=True)
                rgb = (grey + 2**15) // 2**16
            return _weighted("vw,bwc->bvc", across, rgb)

        # A few rows at a time: numbers of 64 bits of a whole picture would be many.
        bands = tf.pad(rgba, [[0, -rows % _BAND], [0, 0], [0, 0]])
        bands = tf.reshape(bands, [-1, _BAND, tf.shape(rgba)[1], 4])
        spec = tf.TensorSpec((_BAND, width, channels), tf.uint8)
        bands = tf.map_fn(narrow, bands, fn_output_signature=spec)
        flat = tf.reshape(bands, [-1, width * channels])[:rows]
        return tf.reshape(_weighted("vh,hn->vn", down, flat), self.image_shape)

    def _write(self, image):
        spec = tf.TensorSpec((), tf.string)
        brightness = image * (255 // (self.levels - 1))
        return tf.map_fn(tf.io.encode_png, brightness, fn_output_signature=spec)


def _readable(image_bytes):
    """Whether each picture can be decoded, and is not too large."""
    # A graph cannot catch an error, but a pipeline leaves out an element that fails. It is small,
    # since TensorFlow prepares it at each request.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    pictures = tf.data.Dataset.from_tensor_slices(image_bytes).enumerate().with_options(options)
    rows = pictures.map(lambda row, data: (row, tf.size(_decode(_not_large(data)))))
    none = tf.zeros([tf.size(image_bytes)], tf.bool)
    return rows.ignore_errors().reduce(
        none, lambda found, row: tf.tensor_scatter_nd_update(found, [[row[0]]], [row[1] > 0])
    )


def _not_large(data):
    """The bytes of a picture, or none of a large one: few bytes may stand for one that fills the
    memory."""
    sizes = [lambda: tf.image.extract_jpeg_shape(data)[:2], lambda: _png_size(data)]
    size = tf.switch_case(_is_png(data), sizes)
    return tf.where(tf.reduce_prod(tf.cast(size, tf.int64)) <= _LARGEST, data, b"")


def _png_size(data):
    return tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.int32, little_endian=False)


def _is_png(data):
    return tf.cast(tf.strings.substr(data, 0, 4) == b"\x89PNG", tf.int32)


def _decode(data):
    """RGBA, uint8, of a PNG or JPEG."""
    # TensorFlow leaves a transparent colour out unless it is asked for RGBA, in which palettes and
    # bits without one go wrong. One of 16 bits cannot be found in 8: such a picture is not read.
    colour = tf.strings.regex_full_match(data, r"(?s)\CPNG\C*tRNS\C*")
    data = tf.where(colour & (tf.strings.substr(data, 24, 2) == b"\x10\x02"), b"", data)
    readers = [
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(data),
        lambda: tf.io.decode_png(data, channels=4),
    ]
    pixels = tf.switch_case(_is_png(data) + tf.cast(colour, tf.int32), readers)
    # Of 1 to 4 channels, the last of which is alpha if they are even.
    channels = tf.shape(pixels)[-1]
    colours = tf.where(channels < 3, [0, 0, 0], [0, 1, 2])
    alpha = channels - tf.cast(channels % 2 == 0, tf.int32)
    opaque = tf.fill([*tf.unstack(tf.shape(pixels)[:2]), 1], tf.constant(255, tf.uint8))
    return tf.gather(tf.concat([pixels, opaque], -1), tf.concat([colours, [alpha]], 0), axis=-1)


def _upright(pixels, data):
    """The picture as its EXIF orientation says."""
    found = tf.strings.regex_replace(data, _ORIENTATION, r"\1\2")
    found = tf.where(tf.strings.length(found) == 1, found, b"\x01")
    orientation = tf.cast(tf.io.decode_raw(found, tf.uint8)[0], tf.int32)
    axes = tf.where(orientation >= 5, [1, 0, 2], [0, 1, 2])
    turned = tf.gather(tf.constant(_TURNED, tf.bool), orientation)
    return tf.reverse(tf.transpose(pixels, axes), tf.boolean_mask([0, 1], turned))


def _weights(size, new_size):
    """Pillow's bilinear weights of the old pixels in each new one, `(new_size, size)`, times
    `2 ** _BITS`: whole numbers."""
    size = tf.cast(size, tf.float64)
    scale = size / new_size
    centers = (tf.range(new_size, dtype=tf.float64) + 0.5) * scale
    distances = tf.abs(tf.range(size, dtype=tf.float64) + 0.5 - centers[:, None])
    weights = tf.maximum(1 - distances / tf.maximum(scale, 1), 0)
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.floor(weights * 2**_BITS + 0.5)


def _weighted(equation, weights, values):
    """Weighted means, uint8; exact, since all numbers are whole and below 2 ** 53."""
    sums = tf.einsum(equation, weights, tf.cast(values, tf.float64)) + 2 ** (_BITS - 1)
    return tf.cast(tf.minimum(tf.floor(sums / 2**_BITS), 255), tf.uint8)


def _only(readable, values):
    """The values of the rows that could be read; NaN, -1 or blank images in the others."""
    readable = tf.reshape(readable, [-1] + [1] * (values.shape.rank - 1))
    nothing = {tf.uint8: 0, tf.int32: -1}.get(values.dtype, math.nan)
    return tf.where(readable, values, tf.cast(nothing, values.dtype))

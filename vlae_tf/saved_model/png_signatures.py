import math

import tensorflow as tf

# Pixels of a picture that is read.
_LARGEST = 2**24


class PNGSignatures:
    """The signatures of `Signatures` with pictures as PNG bytes: `encode_png`, `sample_png`, ...

    Their input and output is `image_bytes`, one string a row, in place of `image`. Over REST,
    TensorFlow Serving and its clients write bytes as `{"b64": "..."}`. Input pictures are made
    grey for a model of one channel, and brought to the model's size by averaging. For a binary
    model, pixels brighter than half become 1: white strokes on black, as in the data sets. Its
    output pictures are black and white.

    A picture that is neither PNG nor JPEG, is broken, or has more than 2^24 pixels is answered by
    NaN, the cluster -1 and a blank picture in its row.

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
        # A graph cannot catch an error, but a pipeline leaves out an element that fails.
        pictures = tf.data.Dataset.from_tensor_slices(image_bytes).enumerate()
        pictures = pictures.map(lambda row, data: (row, self._picture(data))).ignore_errors()

        def put(answer, picture):
            row, image = picture
            return tuple(
                tf.tensor_scatter_nd_update(rows, [[row]], [value])
                for rows, value in zip(answer, (image, True), strict=True)
            )

        n = tf.size(image_bytes)
        blank = tf.zeros((n, *self.image_shape), tf.uint8), tf.zeros([n], tf.bool)
        return pictures.reduce(blank, put)

    def _picture(self, data):
        png = tf.strings.substr(data, 0, 4) == b"\x89PNG"
        size = tf.cond(png, lambda: _png_size(data), lambda: tf.image.extract_jpeg_shape(data)[:2])
        # Few bytes may stand for a picture that fills the memory: then nothing is decoded.
        data = tf.where(tf.reduce_prod(tf.cast(size, tf.int64)) <= _LARGEST, data, b"")
        channels = self.image_shape[-1]
        picture = tf.io.decode_image(data, channels=channels, expand_animations=False)
        picture = tf.image.resize(picture, self.image_shape[:2], method="area")
        picture = picture > 127.5 if self.levels == 2 else tf.round(picture)
        return tf.cast(picture, tf.uint8)

    def _write(self, image):
        spec = tf.TensorSpec((), tf.string)
        brightness = image * (255 // (self.levels - 1))
        return tf.map_fn(tf.io.encode_png, brightness, fn_output_signature=spec)


def _png_size(data):
    return tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.int32, little_endian=False)


def _only(readable, values):
    """The values of the rows that could be read; NaN, -1 or blank images in the others."""
    readable = tf.reshape(readable, [-1] + [1] * (values.shape.rank - 1))
    nothing = {tf.uint8: 0, tf.int32: -1}.get(values.dtype, math.nan)
    return tf.where(readable, values, tf.cast(nothing, values.dtype))

import tensorflow as tf


class PNGSignatures:
    """The signatures of `Signatures` with pictures as PNG bytes: `encode_png`, `sample_png`, ...

    Their input and output is `image_bytes`, one string a row, in place of `image`. Over REST,
    TensorFlow Serving and its clients write bytes as `{"b64": "..."}`. Input pictures are made
    grey for a model of one channel, and brought to the model's size by averaging. For a binary
    model, pixels brighter than half become 1: white strokes on black, as in the data sets. Its
    output pictures are black and white.

    Bytes in another format than PNG, JPEG, GIF or BMP are an error for the whole request.

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
        if image_bytes is not None:
            inputs["image"] = self._read(image_bytes)
        outputs = self.functions[name](**inputs)
        if "image" in outputs:
            outputs["image_bytes"] = self._write(outputs.pop("image"))
        return outputs

    def _read(self, image_bytes):
        def read(data):
            channels = self.image_shape[-1]
            picture = tf.io.decode_image(data, channels=channels, expand_animations=False)
            picture = tf.image.resize(picture, self.image_shape[:2], method="area")
            picture = picture > 127.5 if self.levels == 2 else tf.round(picture)
            return tf.cast(picture, tf.uint8)

        spec = tf.TensorSpec(self.image_shape, tf.uint8)
        return tf.map_fn(read, image_bytes, fn_output_signature=spec)

    def _write(self, image):
        spec = tf.TensorSpec((), tf.string)
        brightness = image * (255 // (self.levels - 1))
        return tf.map_fn(tf.io.encode_png, brightness, fn_output_signature=spec)

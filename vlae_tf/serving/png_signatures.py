import tensorflow as tf


class PNGSignatures:
    """The signatures of `Signatures` with pictures as PNG bytes: `encode_png`, `sample_png`, ...

    Where the others have `image`, these have `image_bytes`, a string a row. Over REST, TensorFlow
    Serving and its clients write bytes as `{"b64": "..."}`. A picture coming in is made grey,
    brought to the model's size by averaging, and set to 1 where it is brighter than half: white on
    black, as the images of the data sets. What comes out is black and white.

    Bytes that are no PNG, JPEG, GIF or BMP are an error for the whole request.

    Args:
        functions: the signatures by name.
        image_shape: of the model's images, `(height, width, 1)`.

    Raises:
        ValueError: for a model with more channels.

    Example:
        >>> import tensorflow as tf, vlae_tf
        >>> from vlae_tf.serving.png_signatures import PNGSignatures
        >>> from vlae_tf.serving.signatures import Signatures
        >>> functions, _ = Signatures(vlae_tf.VLAE((8, 8, 1), latent_dim=4), 2).functions()
        >>> pictures = PNGSignatures(functions, (8, 8, 1))
        >>> answer = pictures.call("decode", code=tf.zeros((1, 4)), seed=tf.constant([0]))
        >>> answer["image_bytes"].numpy()[0][1:4]
        b'PNG'
    """

    def __init__(self, functions, image_shape):
        self.functions = functions
        self.image_shape = image_shape
        if self.image_shape[-1] != 1:
            raise ValueError(
                "`png` needs a model of one channel: a black and white picture has no more. "
                f"Received: image_shape={self.image_shape}"
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
            picture = tf.io.decode_image(data, channels=1, expand_animations=False)
            picture = tf.image.resize(picture, self.image_shape[:2], method="area")
            return tf.cast(picture > 127.5, tf.uint8)

        spec = tf.TensorSpec(self.image_shape, tf.uint8)
        return tf.map_fn(read, image_bytes, fn_output_signature=spec)

    def _write(self, image):
        spec = tf.TensorSpec((), tf.string)
        return tf.map_fn(tf.io.encode_png, image * 255, fn_output_signature=spec)

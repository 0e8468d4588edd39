"""Data-dependent first weights."""

import keras

from vlae_tf.layers import initialize_from_data


def initialize_from_images(model, images):
    """Data-dependent initialisation of all weight-normalised layers of a `VLAE`.

    Encoder, prior, decoder and PixelCNN see what they see in training: the batch, and codes drawn
    from its posterior.

    Args:
        model: a `VLAE`.
        images: one batch, at least a hundred images for steady statistics.

    Example:
        >>> import keras, vlae_tf
        >>> from vlae_tf.training import initialize_from_images
        >>> model = vlae_tf.VLAE((8, 8, 1), latent_dim=4)
        >>> initialize_from_images(model, keras.ops.ones((2, 8, 8, 1)))

    Reference:
        Salimans & Kingma, "Weight Normalization", 2016, section 3.
    """
    initialize_from_data(_Objective(model), images)


class _Objective(keras.layers.Layer):
    """The objective as a function of the images alone, with the model's layers below it."""

    def __init__(self, model):
        super().__init__(dtype="float32")
        self.model = model

    def call(self, images):
        return self.model.objective(images, model=self.model)

import warnings

import keras


class CollapseWarning(keras.callbacks.Callback):
    """Warns once when the code carries (almost) nothing: the decoder has learnt to do without it.

    Args:
        code_bits: smallest KL, bits an image, in validation where there is one.
        epochs: number of epochs after which the code must carry so much.

    Example:
        >>> from vlae_tf.training import CollapseWarning
        >>> CollapseWarning(code_bits=0.5, epochs=10).code_bits
        0.5

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, sections 2.2 and 3.1.
    """

    def __init__(self, code_bits=0.1, epochs=3):
        super().__init__()
        self.code_bits = code_bits
        self.epochs = epochs
        self._warned = False

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        bits = logs.get("val_code_bits", logs.get("code_bits"))
        if self._warned or epoch + 1 < self.epochs or bits is None or bits >= self.code_bits:
            return
        self._warned = True
        warnings.warn(
            f"The code has collapsed: after {epoch + 1} epochs it carries {bits:.2g} bits an image "
            "and the decoder works without it. What helps: free bits (`ELBO(free_bits=...)`, or "
            "`SoftFreeBitsELBO`), a slow start of the KL (`ELBO(warmup_steps=...)`), or a smaller "
            "window of the decoder (fewer blocks, smaller kernels), which leaves more to the code.",
            stacklevel=2,
        )

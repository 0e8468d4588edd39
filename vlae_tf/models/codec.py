import pathlib

import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from vlae_tf.checks import (
    check_channels_together,
    check_codes,
    check_integer,
    check_known,
    check_temperatures,
    refuse,
)
from vlae_tf.files import PathLike
from vlae_tf.models.importance import importance_weighted_log_prob
from vlae_tf.models.progress import Progress
from vlae_tf.noise import row_normal, row_uniform
from vlae_tf.seeds import row_seeds


class Codec:
    """Codes and images: what a `VAE` does with arrays, in batches, NumPy in and NumPy out.

    `decode_rows` and `sample_rows` do the same on tensors, for use inside graphs.

    Example:
        >>> import vlae_tf
        >>> from vlae_tf.models.codec import Codec
        >>> issubclass(vlae_tf.VAE, Codec)
        True
    """

    def encode(self, images: ArrayLike, verbose: int = 0) -> np.ndarray:
        """The codes of images, float32 `(batch, latent_dim)`: the posterior's `center()`.

        That is the mean of a Gaussian posterior, and the code at zero noise of a flow. With
        `verbose=1` a line on the terminal tells how many are done.
        """
        images = self.check_images(images)
        return self.run_rows("encode", lambda x: self(x)["code"], images, verbose=verbose)

    def decode(
        self,
        code: ArrayLike,
        seed: ArrayLike = 0,
        known: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> np.ndarray:
        """Images drawn from p(x | z), float32 of whole numbers, `(batch, *image_shape)`.

        Args:
            code: codes, `(batch, latent_dim)`.
            seed: seed of the noise, an integer or one for each row. A row depends on its own code
                and seed alone.
            known: images to complete, `(batch, *image_shape)` or of a shape that broadcasts to it:
                the pixels where `mask` is true stay as they are, the others are drawn from
                p(unknown | known, z).
            mask: boolean array, of the same shape or one that broadcasts to it. Every pixel in the
                window of a known pixel must be known too (for example the first rows). A pixel's
                channels are known together or not at all.
        """
        code = check_codes(code, self.latent_dim, self.variable_dtype)
        rows = [code, row_seeds(seed, len(code))]
        if known is None and mask is None:
            return self.run_rows("decode", self.decode_rows, *rows)
        known, mask = check_known(known, mask, (len(code), *self.image_shape), self.levels)
        network = getattr(self.likelihood_family, "network", None)
        if network is not None or self.levels > 2:
            check_channels_together(mask)
        if network is not None:
            network.receptive_field.check_mask(mask)
        return self.run_rows("complete", self.decode_rows, *rows, known, mask)

    def reconstruct(self, images: ArrayLike, seed: ArrayLike = 0) -> np.ndarray:
        """Images drawn from p(x | z) at the codes of `images`.

        What the code keeps stays, the rest is drawn anew.
        """
        return self.decode(self.encode(images), seed=seed)

    def gibbs(
        self, images: ArrayLike, steps: int, seed: ArrayLike = 0, verbose: int = 0
    ) -> np.ndarray:
        """The Markov chain z ~ q(z | x), x ~ p(x | z), begun at `images`.

        Where p(x | z) is the distribution of the training images that share a code, the chain
        stays among such images whatever the prior is: so one samples a model whose codes do not
        follow its prior, as after training without a KL (Zhao et al., 2017, section 4).

        Args:
            images: images to begin with, as the model takes them, `(n, *image_shape)`.
            steps: number of steps.
            seed: seed of the noise, an integer or one for each image. A longer chain begins with
                the shorter one.
            verbose: 1 for a line on the terminal that tells how many images are done in a step.

        Returns:
            The images after each step, float32 of whole numbers, `(steps, n, *image_shape)`.
        """
        images = self.check_images(images)
        steps = check_integer(steps, "steps", least=1)
        own = row_seeds(seed, len(images)).astype("uint32")
        seeds = np.stack([row_seeds(int(image), steps) for image in own])
        chain = []
        for step in range(steps):
            rows = seeds[:, step]
            codes = self.run_rows("draw_codes", self.draw_codes, images, rows)
            codes = check_codes(codes, self.latent_dim, self.variable_dtype)
            images = self.run_rows("decode", self.decode_rows, codes, rows, verbose=verbose)
            chain.append(images)
        return np.stack(chain)

    def sample(
        self, n: int, seed: ArrayLike = 0, temperature: ArrayLike = 1.0, verbose: int = 0
    ) -> np.ndarray:
        """`n` new images: z from the prior, x from p(x | z).

        Args:
            n: number of images.
            seed: seed of the noise, an integer or one for each image. The first images of a larger
                n are those of a smaller one.
            temperature: scale of the prior's noise, a number or one for each image; less than 1
                gives more typical codes.
            verbose: 1 for a line on the terminal that tells how many are done.
        """
        check_integer(n, "n", least=1)
        temperatures = check_temperatures(temperature, n).astype(self.variable_dtype)
        return self.run_rows(
            "sample",
            lambda s, t: self.sample_rows(s, t)[0],
            row_seeds(seed, n),
            temperatures,
            verbose=verbose,
        )

    def log_likelihood(
        self,
        images: ArrayLike,
        importance_samples: int = 256,
        seed: ArrayLike = 0,
        verbose: int = 0,
    ) -> np.ndarray:
        """Importance-weighted estimate of log p(x), nats `(batch,)`.

        See `vlae_tf.models.importance_weighted_log_prob`. With `verbose=1` a line on the terminal
        tells how many pairs of an image and a sample are done.
        """
        images, progress = self.check_images(images), Progress("images x samples", None, verbose)
        result = importance_weighted_log_prob(
            self, images, importance_samples, seed=seed, progress=progress
        )
        progress.clear()
        return result

    def export(
        self,
        filepath: PathLike,
        version: int | None = None,
        format: str = "tf_saved_model",
        **kwargs,
    ) -> pathlib.Path:
        """Writes a SavedModel with five signatures below `filepath`, or one of them as a file.

        See `vlae_tf.saved_model.export`, and for `format` "onnx", "openvino" and "litert"
        `vlae_tf.saved_model.export_runtime`: `export("m.onnx", format="onnx", signature="encode")`.
        """
        from vlae_tf.saved_model import export, export_runtime  # with TensorFlow alone

        if format == "tf_saved_model":
            return export(self, filepath, version=version, **kwargs)
        if version is not None:
            refuse("version", f"None for {format}, which is one file", version)
        return export_runtime(self, filepath, format, **kwargs)

    # === On tensors ===

    def draw_codes(self, images, seeds):
        """Codes drawn from q(z | x), on tensors, `(batch, latent_dim)`: one seed a row."""
        noise = ops.cast(row_normal(seeds, (self.latent_dim,)), self.variable_dtype)
        return self.posterior(images).from_noise(noise)

    def decode_rows(self, code, seeds, known=None, mask=None):
        """`decode` on tensors, for use inside graphs: one seed a row."""
        likelihood = self.likelihood(code)
        noise = row_uniform(seeds, likelihood.noise_shape, salt=1)
        return likelihood.from_noise(noise, known, mask)

    def sample_rows(self, seeds, temperatures):
        """`sample` on tensors, for use inside graphs: images and codes, one seed and temperature
        a row."""
        noise = row_normal(seeds, (self.latent_dim,))
        noise = ops.cast(noise, self.variable_dtype) * ops.expand_dims(temperatures, -1)
        code = self.prior().from_noise(noise)
        return self.decode_rows(code, seeds), code

"""How much a code tells about its image."""

import numpy as np
from keras import ops
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from vlae_tf.checks import check_codes, check_integer, refuse
from vlae_tf.models import VAE
from vlae_tf.seeds import row_seeds


def mutual_information(
    model: VAE, images: ArrayLike, seed: ArrayLike = 0, batch_size: int = 128
) -> dict:
    """Estimate of the mutual information of image and code under q, from N images.

        I = 1/N sum_i [ log q(z_i | x_i) - log 1/N sum_j q(z_i | x_j) ],    z_i ~ q(z | x_i)

    The sum over j stands for the aggregate q(z), so the estimate cannot exceed log N however much
    the code carries: tell N beside it, and compare only figures of the same N. It takes N^2
    densities, each a number: their time grows with the square of N, their memory with N times
    `batch_size`.

    Args:
        model: a `VAE`.
        images: images as the model takes them, `(n, *image_shape)`.
        seed: seed of the codes: a non-negative integer, or one for each image.
        batch_size: images whose posteriors are computed at once.

    Returns:
        A dict of `nats`, the estimate, at most log N, and a little below 0 now and then where the
        code carries next to nothing; `most`, log N; and `num_images`, N.

    Raises:
        ValueError: for no model, images that it does not take, codes that are not finite, or a
            `batch_size` below 1.

    Example:
        >>> import vlae_tf
        >>> from vlae_tf.evaluation import mutual_information
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> small = {"filters": [2], "blocks": 0, "units": 4}
        >>> parts = ResNetEncoder(**small), ResNetDecoder((4, 4, 1), maps=2, **small)
        >>> model = vlae_tf.VLAE((4, 4, 1), 2, *parts)
        >>> found = mutual_information(model, model.sample(8))
        >>> found["num_images"], found["nats"] <= found["most"]
        (8, True)

    Reference:
        Zhao et al., "Towards Deeper Understanding of Variational Autoencoding Models", 2017,
        section 4; the estimate is that of the authors' code (ermongroup/Generalized-PixelVAE).
    """
    if not isinstance(model, VAE):
        refuse("model", "a `VAE`, such as `vlae_tf.zoo.load(...)` gives", model)
    images = model.check_images(images)
    batch_size = check_integer(batch_size, "batch_size", least=1)
    n, rows = len(images), min(len(images), batch_size)
    codes = model.run_rows("draw_codes", model.draw_codes, images, row_seeds(seed, n))
    codes = check_codes(codes, model.latent_dim, model.variable_dtype)

    def densities(batch, codes):
        pairs = ops.shape(codes)[0], ops.shape(batch)[0], model.latent_dim
        return model.posterior(batch).log_prob(ops.broadcast_to(codes[:, None], pairs))

    run = model.compiled_function("code_densities", densities)
    total, own = np.full(n, -np.inf), np.empty(n)
    for start in range(0, n, rows):
        # The last batch is filled up, so that every step has one shape.
        chosen = np.arange(start, start + rows).clip(max=n - 1)
        # Of every code under the posterior of each image of the batch.
        block = ops.convert_to_numpy(run(images[chosen], codes)).astype("float64")[:, : n - start]
        own[start : start + rows] = np.diagonal(block[start : start + rows])
        total = np.logaddexp(total, logsumexp(block, axis=1))
    nats = float(np.mean(own - total) + np.log(n))
    return {"nats": nats, "most": float(np.log(n)), "num_images": n}

"""The importance weight log w, written once: for training, evaluation and served models."""

from typing import NamedTuple

from keras import ops

from vlae_tf.backend import map_recomputed


class Weights(NamedTuple):
    """What `log_weights` gives.

    Args:
        code: codes drawn from the posterior, `(samples, batch, latent_dim)`.
        reconstruction: log p(x | z), nats, `(samples, batch)`.
        kl: log q(z | x) - log p(z), nats, `(samples, batch)`.

    Example:
        >>> from vlae_tf.objectives.bounds import Weights
        >>> Weights(code=None, reconstruction=-80.0, kl=10.0).log_w
        -90.0
    """

    code: object
    reconstruction: object
    kl: object

    @property
    def log_w(self):
        """log p(x | z) + log p(z) - log q(z | x), nats, `(samples, batch)`."""
        return self.reconstruction - self.kl


def draw_code(posterior, prior, noise):
    """Codes at given noise, and log q(z | x) - log p(z) of each.

    Args:
        posterior: `CodeDistribution` of batch `(batch,)`.
        prior: `CodeDistribution` of batch `()`.
        noise: standard normal noise, `(samples, batch, latent_dim)`.

    Returns:
        Codes `(samples, batch, latent_dim)`, and nats `(samples, batch)`.
    """
    code, log_q = posterior.from_noise_and_log_prob(noise)
    return code, log_q - prior.log_prob(code)


def log_weights(model, images, noise, posterior=None, training=False, chunk=None):
    """log w of images at given noise: the terms of every bound on log p(x).

        log w = log p(x | z) + log p(z) - log q(z | x),    z = posterior.from_noise(noise)
        ELBO = E log w,    importance-weighted bound = E log 1/K sum_k w_k

    The posterior is computed once an image, for all samples, and the decoder sees all pairs of an
    image and a code as one batch.

    Args:
        model: `VAE`.
        images: images, float32 `(batch, *image_shape)`.
        noise: standard normal noise, `(samples, batch, latent_dim)`.
        posterior: posterior of the images; `model.posterior(images)` unless given.
        training: whether the networks run as in training.
        chunk: number of codes of an image that are decoded at once, a divisor of their number; all
            of them unless given. The gradient then decodes each chunk again, so that memory holds
            one of them; the networks must not draw noise of their own.

    Returns:
        `Weights`: `code`, `reconstruction` and `kl`.

    Example:
        >>> import keras, vlae_tf
        >>> from vlae_tf.objectives import log_weights
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> small = {"filters": [2], "blocks": 0, "units": 4}
        >>> networks = ResNetEncoder(**small), ResNetDecoder((4, 4, 1), **small)
        >>> parts = {
        ...     "prior_family": vlae_tf.priors.FlowPrior(2, steps=0),
        ...     "likelihood_family": vlae_tf.likelihoods.BernoulliLikelihood((4, 4, 1)),
        ... }
        >>> model = vlae_tf.VLAE((4, 4, 1), 2, *networks, **parts)
        >>> weights = log_weights(model, keras.ops.zeros((3, 4, 4, 1)), keras.ops.zeros((5, 3, 2)))
        >>> tuple(weights.log_w.shape)
        (5, 3)

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equation 8.
    """
    if len(noise.shape) != 3 or noise.shape[-1] != model.latent_dim:
        raise ValueError(
            f"`noise` must have shape (samples, batch, {model.latent_dim}). "
            f"Received: noise with shape {tuple(noise.shape)}"
        )
    if posterior is None:
        posterior = model.posterior(images, training=training)
    code, kl = draw_code(posterior, model.prior(), noise)
    return Weights(code, log_likelihood(model, images, code, training, chunk), kl)


def log_likelihood(model, images, code, training=False, chunk=None):
    """log p(x | z) of images at codes, nats.

    Args:
        model: `VAE`.
        images: images, float32 `(batch, *image_shape)`.
        code: codes of each image, `(samples, batch, latent_dim)`.
        training: whether the networks run as in training.
        chunk: as in `log_weights`.

    Returns:
        Nats, `(samples, batch)`.
    """
    if chunk is not None and chunk != code.shape[0]:
        parts = ops.reshape(code, (-1, chunk, ops.shape(code)[1], code.shape[-1]))
        log_prob = map_recomputed(lambda part: log_likelihood(model, images, part, training), parts)
        return ops.reshape(log_prob, (code.shape[0], -1))
    # Every pair is a row, the images varying fastest.
    samples = code.shape[0] or ops.shape(code)[0]
    rows = ops.reshape(code, (-1, code.shape[-1]))
    # A single image is not tiled: the likelihood then computes once what depends on it alone.
    if images.shape[0] != 1 and code.shape[0] != 1:
        images = ops.tile(images, (samples, *(1 for _ in images.shape[1:])))
    log_prob = model.likelihood(rows, training=training).log_prob(images)
    return ops.reshape(log_prob, (samples, -1))

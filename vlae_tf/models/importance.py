"""The importance-weighted estimate of log p(x)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from vlae_tf.backend import replicas
from vlae_tf.checks import check_integer
from vlae_tf.models.partial_results import PartialResults, fingerprint
from vlae_tf.objectives import log_weights
from vlae_tf.seeds import row_seeds

# Batches between two writes of the partial results.
SAVE_EVERY = 20
_TERMS = ("log_prob", "elbo", "kl", "effective_samples")


def importance_weighted_log_prob(
    model: Any,
    images: ArrayLike,
    importance_samples: int,
    seed: ArrayLike = 0,
    batch_size: int = 128,
    progress: Callable[[int, int], object] | None = None,
) -> np.ndarray:
    """Importance-weighted estimate of log p(x), a lower bound that rises with K to log p(x).

        log 1/K sum_k w_k,        w_k = p(x | z_k) p(z_k) / q(z_k | x),        z_k ~ q(z | x)

    The noise of an image is a function of its seed alone, drawn on the host: neither the other
    images, nor how images and samples are split into steps, nor the backend changes it, and a
    larger K begins with the samples of a smaller one. What remains is the rounding of the networks,
    about 1e-7 of the result in float32.

    Args:
        model: `VAE`. For a control, a model without a code, one sample is exact.
        images: images as the model takes them, `(n, *image_shape)`.
        importance_samples: number of samples K for each image.
        seed: seed of the noise, a non-negative integer or one for each image.
        batch_size: number of pairs of an image and a sample that are evaluated at once; memory is
            proportional to it.
        progress: function that is called after each step, with the number of pairs done and the
            number of all pairs.

    Returns:
        float64 `(n,)`, nats.

    Raises:
        ValueError: for invalid images, or a K or `batch_size` below 1.

    Example:
        >>> import numpy as np, vlae_tf
        >>> from vlae_tf.models import importance_weighted_log_prob
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> small = {"filters": [2], "blocks": 0, "units": 4}
        >>> networks = ResNetEncoder(**small), ResNetDecoder((4, 4, 1), **small)
        >>> parts = {
        ...     "prior_family": vlae_tf.priors.FlowPrior(2, steps=0),
        ...     "likelihood_family": vlae_tf.likelihoods.BernoulliLikelihood((4, 4, 1)),
        ... }
        >>> model = vlae_tf.VLAE((4, 4, 1), 2, *networks, **parts)
        >>> importance_weighted_log_prob(model, np.zeros((3, 4, 4, 1)), 4).shape
        (3,)

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equation 8.
    """
    terms = importance_weighted_terms(model, images, importance_samples, seed, batch_size, progress)
    return terms["log_prob"]


def importance_weighted_terms(
    model: Any,
    images: ArrayLike,
    importance_samples: int,
    seed: ArrayLike = 0,
    batch_size: int = 128,
    progress: Callable[[int, int], object] | None = None,
    partial: PartialResults | None = None,
) -> dict[str, np.ndarray]:
    """`importance_weighted_log_prob`, with the ELBO and the KL of the same samples, and how many of
    them count.

        elbo = 1/K sum_k log w_k,        kl = 1/K sum_k log q(z_k | x) - log p(z_k)
        effective_samples = (sum_k w_k)^2 / sum_k w_k^2,        1 to K

    Where the effective number is near 1, a single sample decides, and the estimate is a bound that
    may lie far below log p(x).

    Args:
        model, images, importance_samples, seed, batch_size, progress: the arguments of
            `importance_weighted_log_prob`.
        partial: `PartialResults` that keeps what is done: after the process was killed, the same
            call continues from there, to the same result.

    Returns:
        A dict of `log_prob`, `elbo` and `kl`, nats, and `effective_samples`, float64 `(n,)` each.

    Raises:
        ValueError: for the reasons of `importance_weighted_log_prob`.

    Example:
        >>> import numpy as np, vlae_tf
        >>> from vlae_tf.models import importance_weighted_terms
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> small = {"filters": [2], "blocks": 0, "units": 4}
        >>> networks = ResNetEncoder(**small), ResNetDecoder((4, 4, 1), **small)
        >>> parts = {
        ...     "prior_family": vlae_tf.priors.FlowPrior(2, steps=0),
        ...     "likelihood_family": vlae_tf.likelihoods.BernoulliLikelihood((4, 4, 1)),
        ... }
        >>> model = vlae_tf.VLAE((4, 4, 1), 2, *networks, **parts)
        >>> terms = importance_weighted_terms(model, np.zeros((3, 4, 4, 1)), 4)
        >>> bool((terms["elbo"] <= terms["log_prob"]).all())
        True

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equation 8; Kong, "A Note on
        Importance Sampling using Standardized Weights", 1992, for the effective number.
    """
    importance_samples = check_integer(importance_samples, "importance_samples", least=1)
    batch_size = check_integer(batch_size, "batch_size", least=1)
    images = model.check_images(images)
    n = len(images)
    seeds = np.asarray(row_seeds(seed, n)).astype("uint32")
    decides = (images, seeds, importance_samples, len(_TERMS))
    key = None if partial is None else fingerprint(model, *decides)
    kept = partial.rows(key) if partial else None
    results = np.empty((0, len(_TERMS))) if kept is None else kept

    # Every step has the same shape, so that it is traced once: samples fall into equal chunks, and
    # the last batch repeats the last image. Each chunk computes the posterior again, one encoding
    # for about `batch_size` decodings.
    chunks = -(-importance_samples // batch_size)
    samples = -(-importance_samples // chunks)
    rows = min(n, batch_size // samples * replicas(model))
    run = model.compiled_function(
        "log_weights", lambda images, noise: _log_w_and_kl(model, images, noise), rows=True
    )
    starts = range(len(results), n, rows)
    for count, start in enumerate(starts, 1):
        batch = np.arange(start, start + rows).clip(max=n - 1)
        generators = [np.random.default_rng(row_seed) for row_seed in seeds[batch]]
        pairs = []
        for chunk in range(chunks):
            shape = (samples, model.latent_dim)
            noise = np.stack([g.standard_normal(shape, "float32") for g in generators])
            pairs.append([ops.convert_to_numpy(term) for term in run(images[batch], noise)])
            if progress is not None:
                before = start * importance_samples
                done = min((chunk + 1) * samples, importance_samples) * min(rows, n - start)
                progress(before + done, n * importance_samples)
        log_w, kl = np.concatenate(pairs, axis=-1)[..., :importance_samples].astype("float64")
        total = logsumexp(log_w, axis=1)
        terms = [
            total - np.log(importance_samples),
            log_w.mean(axis=1),
            kl.mean(axis=1),
            np.exp(2 * total - logsumexp(2 * log_w, axis=1)),
        ]
        results = np.concatenate([results, np.stack(terms, axis=1)[: n - start]])
        if partial is not None and (count % SAVE_EVERY == 0 or count == len(starts)):
            partial.save(key, results)
    return dict(zip(_TERMS, results.T, strict=True))


def _log_w_and_kl(model, images, noise):
    """log w and log q(z | x) - log p(z) of images at noise `(batch, samples, latent_dim)`; two
    tensors `(batch, samples)`, nats."""
    noise = ops.cast(ops.transpose(noise, (1, 0, 2)), model.variable_dtype)
    weights = log_weights(model, images, noise)
    return ops.transpose(weights.log_w), ops.transpose(weights.kl)

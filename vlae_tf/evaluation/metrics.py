"""The figures of a model on a set of images."""

from collections.abc import Callable

import keras
import numpy as np
from numpy.typing import ArrayLike

from vlae_tf.models import VAE
from vlae_tf.models.importance import importance_weighted_terms
from vlae_tf.models.partial_results import PartialResults
from vlae_tf.seeds import row_seeds

# Where a code's variances lie close to the usual threshold of 0.01, the count hangs on it.
THRESHOLDS = (0.001, 0.01, 0.1)


def evaluate(
    model: VAE,
    images: ArrayLike,
    importance_samples: int = 256,
    seed: ArrayLike = 0,
    batch_size: int = 128,
    control: VAE | None = None,
    partial: PartialResults | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> dict:
    """Likelihood, bound, length of the code and active units of a model on a set of images.

        nll = -mean_x log 1/K sum_k w_k        elbo = mean_x 1/K sum_k log w_k = reconstruction - kl

    The standard error is that of the mean over images. It does not cover the gap that a finite K
    leaves; to see that gap, evaluate some of the images again with many more samples.

    Args:
        model: a `VAE`. The likelihood of a control is exact with one sample, so one is drawn.
        images: images as the model takes them, `(n, *image_shape)`.
        importance_samples: K, the number of codes drawn for each image.
        seed: seed of the noise: a non-negative integer, or one for each image.
        batch_size: pairs of an image and a sample evaluated at once; memory is proportional to it.
        control: the same decoder trained without a code, a `VAE` whose `has_code` is False.
        partial: a `PartialResults` that keeps what is done: after the process was killed, the same
            call continues from there, to the same result.
        progress: called after each step with the number of pairs done and of all pairs.

    Returns:
        A dict of means over images, ready for JSON but for the first:

        - `log_prob`: float32 `(n,)`, nats, of each image, so that two models can be compared image
          by image;
        - `nll`, `nll_standard_error`, `elbo`, `reconstruction`, `kl`: nats an image;
        - `bits_per_dim` of the nll; `code_bits`, the kl in bits;
        - `effective_samples`: how many of the K samples of an image count, in the median over
          images; near 1, the nll is a bound that may be far from the truth;
        - `active_units`: how many dimensions of the code tell images apart, by a threshold of 0.01;
          `active_units_by_threshold`, by others too;
        - `importance_samples`, `num_images`, `dtype`, `backend`: how they were measured;
        - `control`, if one was given: its `nll`, `nll_standard_error`, `bits_per_dim` and
          `num_images`, the `gain` in nats over it that the model has with `importance_samples` K,
          and `gain_standard_error`, from the differences image by image.

    Raises:
        ValueError: for images the model does not take, or a control that has a code.

    Example:
        >>> import vlae_tf
        >>> from vlae_tf.evaluation import evaluate
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> small = {"filters": [2], "blocks": 0, "units": 4}
        >>> parts = ResNetEncoder(**small), ResNetDecoder((4, 4, 1), maps=2, **small)
        >>> model = vlae_tf.VLAE((4, 4, 1), 2, *parts)
        >>> metrics = evaluate(model, model.sample(3), importance_samples=4)
        >>> metrics["num_images"], metrics["nll"] <= -metrics["elbo"]
        (3, True)

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equation 8 and section 5; Chen et
        al., "Variational Lossy Autoencoder", ICLR 2017, section 4.1.
    """
    if control is not None and control.has_code:
        raise ValueError(
            "`control` must be a model without a code, see `networks.Unconditional`. "
            f"Received: a control with a code of {control.latent_dim} numbers"
        )
    images = model.check_images(images)
    n = len(images)
    seeds = row_seeds(seed, n)
    samples = importance_samples if model.has_code else 1
    total = n * (samples + (control is not None))

    def terms(model, samples, before=0):
        shown = progress and (lambda done, _: progress(before + done, total))
        return importance_weighted_terms(model, images, samples, seeds, batch_size, shown, partial)

    measured = terms(model, samples)
    elbo, kl = float(measured["elbo"].mean()), float(measured["kl"].mean())
    variances = code_variances(model, images)
    counts = {str(threshold): int((variances > threshold).sum()) for threshold in THRESHOLDS}
    metrics = {
        "log_prob": measured["log_prob"].astype("float32"),
        **_nll(measured["log_prob"], model),
        "elbo": elbo,
        "reconstruction": elbo + kl,
        "kl": kl,
        "code_bits": kl / float(np.log(2)),
        "effective_samples": float(np.median(measured["effective_samples"])),
        "active_units": counts["0.01"],
        "active_units_by_threshold": counts,
        "importance_samples": int(samples),
        "dtype": model.dtype_policy.name,
        "backend": keras.backend.backend(),
    }
    if control is not None:
        without = terms(control, 1, before=n * samples)["log_prob"]
        gain, gain_standard_error = _mean(measured["log_prob"] - without)
        metrics["control"] = {
            **_nll(without, control),
            "gain": gain,
            "gain_standard_error": gain_standard_error,
            "importance_samples": int(samples),
        }
    return metrics


def active_units(model: VAE, images: ArrayLike, threshold: float = 1e-2) -> np.ndarray:
    """Which dimensions of the code tell images apart.

        active_j = Var_x(center(q(z | x))_j) > threshold

    The center of a Gaussian posterior is its mean, as in the paper; that of a flow is the code at
    zero noise, since its mean has no closed form.

    Args:
        model: a `VAE`.
        images: images as the model takes them, `(n, *image_shape)`.
        threshold: least variance over images of an active dimension.

    Returns:
        bool `(latent_dim,)`.

    Example:
        >>> import numpy as np, vlae_tf
        >>> from vlae_tf.evaluation import active_units
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> small = {"filters": [2], "blocks": 0, "units": 4}
        >>> parts = ResNetEncoder(**small), ResNetDecoder((4, 4, 1), maps=2, **small)
        >>> active_units(vlae_tf.VLAE((4, 4, 1), 2, *parts), np.zeros((3, 4, 4, 1)))
        array([False, False])

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, section 5.2.
    """
    return code_variances(model, images) > threshold


def code_variances(model, images):
    """Variance over images of each dimension of the code, float64 `(latent_dim,)`."""
    return np.var(model.encode(images), axis=0, dtype="float64")


def _nll(log_prob, model):
    nll, standard_error = _mean(-log_prob)
    return {
        "nll": nll,
        "nll_standard_error": standard_error,
        "bits_per_dim": nll / float(np.prod(model.image_shape) * np.log(2)),
        "num_images": len(log_prob),
    }


def _mean(values):
    """The mean, and its standard error, which one value alone does not have."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
    return float(values.mean()), error and float(error)

"""The figures of a model on a set of images."""

import keras
import numpy as np

from vlae_tf.models.importance import importance_weighted_terms
from vlae_tf.seeds import row_seeds


def evaluate(
    model,
    images,
    importance_samples=256,
    seed=0,
    batch_size=128,
    control=None,
    partial=None,
    progress=None,
):
    """Likelihood, bound, length of the code and active units of a model on a set of images.

        nll = -mean_x log 1/K sum_k w_k        elbo = mean_x 1/K sum_k log w_k = reconstruction - kl

    The standard error is that of the mean over images. It does not cover the gap that a finite K
    leaves; for that, evaluate some of the images again with many more samples.

    Args:
        model: a `VLAE`. Without a code its likelihood is exact, and one sample is drawn.
        images: of {0, 1}, `(n, *image_shape)`.
        importance_samples: K.
        seed: of the noise: a non-negative integer, or one for each image.
        batch_size: pairs of an image and a sample evaluated at once: memory is proportional to it.
        control: the same decoder trained without a code, a `VLAE` with `latent_dim=0`.
        partial: a `PartialResults` that keeps what is done: when the process is killed, the same
            call goes on from there, to the same result.
        progress: called with the pairs done and those in all, after each step.

    Returns:
        A dict of means over images, ready for JSON but for the first:

        - `log_prob`: float32 `(n,)`, nats, of each image, so that two models can be compared image
          by image;
        - `nll`, `nll_standard_error`, `elbo`, `reconstruction`, `kl`: nats an image;
        - `bits_per_dim` of the nll; `code_bits`, the kl in bits;
        - `active_units`: how many dimensions of the code tell images apart;
        - `importance_samples`, `num_images`, `dtype`, `backend`: how they were measured;
        - `control`, if one was given: its `nll`, `nll_standard_error`, `bits_per_dim` and
          `num_images`, the `gain` in nats over it that the model has with `importance_samples` K,
          and `gain_standard_error`, from the differences image by image.

    Raises:
        ValueError: for images the model does not take, or a control that has a code.

    Example:
        >>> import numpy as np, vlae_tf
        >>> from vlae_tf.evaluation import evaluate
        >>> model = vlae_tf.VLAE((8, 8, 1), latent_dim=2)
        >>> metrics = evaluate(model, np.zeros((3, 8, 8, 1)), importance_samples=4)
        >>> metrics["num_images"], metrics["nll"] <= -metrics["elbo"]
        (3, True)

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equation 8 and section 5; Chen et
        al., "Variational Lossy Autoencoder", ICLR 2017, section 4.1.
    """
    if control is not None and control.latent_dim:
        raise ValueError(
            "`control` must be a model without a code, with latent_dim=0. "
            f"Received: a control with latent_dim={control.latent_dim}"
        )
    images = model.check_images(images)
    n = len(images)
    seeds = row_seeds(seed, n)
    samples = importance_samples if model.latent_dim else 1
    total = n * (samples + (control is not None))

    def terms(model, samples, before=0):
        shown = progress and (lambda done, _: progress(before + done, total))
        return importance_weighted_terms(model, images, samples, seeds, batch_size, shown, partial)

    measured = terms(model, samples)
    elbo, kl = float(measured["elbo"].mean()), float(measured["kl"].mean())
    metrics = {
        "log_prob": measured["log_prob"].astype("float32"),
        **_nll(measured["log_prob"], model),
        "elbo": elbo,
        "reconstruction": elbo + kl,
        "kl": kl,
        "code_bits": kl / float(np.log(2)),
        "active_units": int(active_units(model, images).sum()),
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


def active_units(model, images, threshold=1e-2):
    """Which dimensions of the code tell images apart.

        active_j = Var_x(E_q(z | x)[z_j]) > threshold

    The mean of a flow posterior has no closed form; there it is the code at zero noise.

    Args:
        model: a `VLAE`.
        images: of {0, 1}, `(n, *image_shape)`.
        threshold: on the variance over images.

    Returns:
        bool `(latent_dim,)`.

    Example:
        >>> import numpy as np, vlae_tf
        >>> from vlae_tf.evaluation import active_units
        >>> active_units(vlae_tf.VLAE((8, 8, 1), latent_dim=2), np.zeros((3, 8, 8, 1)))
        array([False, False])

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, section 5.2.
    """
    return np.var(model.encode(images), axis=0, dtype="float64") > threshold


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

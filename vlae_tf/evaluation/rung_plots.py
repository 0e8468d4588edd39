"""Pictures of a ladder: what each rung changes in an image, and what each cluster holds."""

import numpy as np
from keras import ops
from numpy.typing import ArrayLike
from scipy.stats import norm

from vlae_tf.checks import check_integer, refuse
from vlae_tf.distributions import FactorisedBernoulli, GaussianMixture
from vlae_tf.evaluation.plots import plot_rows
from vlae_tf.files import PathLike
from vlae_tf.models import VAE


def plot_manifolds(model: VAE, path: PathLike, side: int = 12, seed: int = 0) -> None:
    """Draw a grid of images for each rung of two numbers, over which only that rung changes.

    The rung takes the quantiles of N(0, 1), from 2.5 to 97.5 %, along both axes, first number to
    the right and second one down; the other rungs stay at the `center()` of the prior. The image
    drawn from each code is from the same noise, so what differs between two is in the rung.

    Args:
        model: a `VAE` whose posterior has `rungs`, all of two numbers.
        path: file to write; the suffix decides the format. The rung at the top comes first.
        side: images along each side of a grid.
        seed: seed of images that are drawn.

    Raises:
        ValueError: for a model without rungs or with others.

    Example:
        >>> from vlae_tf import zoo
        >>> from vlae_tf.evaluation import plot_manifolds
        >>> plot_manifolds(zoo.load("mnist_ladder"), "manifolds.png")  # doctest: +SKIP

    Reference:
        Zhao et al., "Learning Hierarchical Features from Generative Models", ICML 2017, figure 4.
    """
    sizes = rung_sizes(model)
    if set(sizes) != {2}:
        refuse("model", "one whose rungs have two numbers each", model, f"rungs of sizes {sizes}")
    center = ops.convert_to_numpy(model.prior().center())
    rungs = reversed(range(len(sizes)))
    plot_rows(
        {f"rung {r + 1} of {len(sizes)}": manifold(model, center, r, side, seed) for r in rungs},
        path,
    )


def manifold(model: VAE, code: ArrayLike, rung: int, side: int = 12, seed: int = 0) -> np.ndarray:
    """Images over the plane of a rung of two numbers, the rest of the code as it is.

    Args:
        model: a `VAE`.
        code: one code, `(latent_dim,)`.
        rung: index of the rung, counted from the bottom.
        side: images along each side.
        seed: seed of images that are drawn.

    Returns:
        `(side, side, height, width, channels)`, the rung's first number to the right and its second
        one down, at the quantiles of N(0, 1) from 2.5 to 97.5 %. Images of independent binary
        pixels are their probabilities, others are drawn, all from the same noise.

    Raises:
        ValueError: for a rung that is not there, or has another size.

    Example:
        >>> from vlae_tf import zoo
        >>> from vlae_tf.evaluation import manifold
        >>> model = zoo.load("mnist_ladder")  # doctest: +SKIP
        >>> manifold(model, model.encode(zoo.examples("mnist_ladder"))[0], rung=2).shape
        ... # doctest: +SKIP
        (12, 12, 28, 28, 1)
    """
    side, sizes = check_integer(side, "side", least=1), rung_sizes(model)
    rung = check_integer(rung, "rung", least=0, below=len(sizes))
    if sizes[rung] != 2:
        refuse("rung", "a rung of two numbers", rung, f"rung={rung} of sizes {sizes}")
    at = norm.ppf(np.linspace(0.025, 0.975, side)) if side > 1 else np.zeros(1)
    across, down = (axis.ravel() for axis in np.meshgrid(at, at))
    start = sum(sizes[:rung])
    codes = np.tile(np.asarray(code, model.variable_dtype), (side * side, 1))
    codes[:, start], codes[:, start + 1] = across, down
    images = _images(model, codes, seed)
    return images.reshape(side, side, *images.shape[1:])


def plot_clusters(
    model: VAE, path: PathLike, rung: int = -1, draws: int = 12, seed: int = 0
) -> None:
    """Draw a row of new images from each cluster of a rung, beginning with the largest.

    The rung is drawn from the cluster's Gaussian, the other rungs from the prior. Images of
    independent binary pixels are shown by their probabilities, others are drawn.

    Args:
        model: a `VAE` whose prior is a `GaussianMixturePrior`.
        path: file to write; the suffix decides the format. Each row is labelled with the weight of
            its cluster in the prior.
        rung: index of the rung, counted from the bottom; by default the one at the top.
        draws: images of each cluster.
        seed: seed of codes and images.

    Raises:
        ValueError: for a prior that is no mixture, or a rung that is not there.

    Example:
        >>> from vlae_tf import zoo
        >>> from vlae_tf.evaluation import plot_clusters
        >>> plot_clusters(zoo.load("mnist_mixture_ladder"), "clusters.png")  # doctest: +SKIP

    Reference:
        Falck et al., "Multi-Facet Clustering Variational Autoencoders", NeurIPS 2021, figure 3.
    """
    weights, images = cluster_draws(model, rung, draws, seed)
    largest_first = np.argsort(-weights)
    plot_rows({f"{weights[k]:.1%} ({k})": images[k] for k in largest_first}, path)


def cluster_draws(
    model: VAE, rung: int = -1, draws: int = 12, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """New images from each cluster of a rung, the other rungs drawn from the prior.

    Args:
        model, rung, draws, seed: the arguments of `plot_clusters`.

    Returns:
        The weights of the clusters in the prior, `(components,)`, and images `(components, draws,
        height, width, channels)`: of independent binary pixels the probabilities, others drawn.

    Raises:
        ValueError: for a prior that is no mixture, or a rung that is not there.

    Example:
        >>> from vlae_tf import zoo
        >>> from vlae_tf.evaluation import cluster_draws
        >>> weights, images = cluster_draws(zoo.load("mnist_mixture_ladder"))  # doctest: +SKIP
    """
    check_integer(draws, "draws", least=1)
    prior = model.prior()
    mixtures = getattr(prior, "rungs", [prior])
    check_integer(rung, "rung", least=-len(mixtures), below=len(mixtures))
    mixture = mixtures[rung]
    if not isinstance(mixture, GaussianMixture):
        refuse("model", "one whose prior is a GaussianMixturePrior", model)
    weights = ops.convert_to_numpy(mixture.weights())
    noise = np.random.default_rng(seed).normal(size=(draws, len(weights), model.latent_dim))
    noise = noise.astype("float32")
    code = np.array(ops.convert_to_numpy(prior.from_noise(noise)))
    sizes = [int(each.event_shape[-1]) for each in mixtures]
    ends = np.cumsum(sizes)
    part = slice(ends[rung] - sizes[rung], ends[rung])
    code[..., part] = ops.convert_to_numpy(mixture.components().from_noise(noise[..., part]))
    images = _images(model, code.reshape(-1, model.latent_dim), seed)
    images = images.reshape(draws, len(weights), *images.shape[1:])
    return weights, np.moveaxis(images, 1, 0)


def rung_sizes(model: VAE) -> list[int]:
    """Sizes of the rungs of a model's code, from the bottom up; all of it if it has none."""
    return getattr(model.posterior_family, "rungs", None) or [model.latent_dim]


def _images(model, code, seed):
    likelihood = model.likelihood(code)
    if isinstance(likelihood, FactorisedBernoulli):
        return ops.convert_to_numpy(likelihood.mean())
    return model.decode(code, seed=seed)

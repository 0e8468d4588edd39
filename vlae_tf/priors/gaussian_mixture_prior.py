import keras
import numpy as np
from keras import ops

from vlae_tf.checks import (
    check_integer,
    check_integers,
    check_number,
    check_rungs,
    check_seed,
    refuse,
)
from vlae_tf.distributions import GaussianMixture, IndependentRungs
from vlae_tf.layers.activations import positive_scale
from vlae_tf.priors.prior import Prior


@keras.saving.register_keras_serializable(package="vlae_tf")
class GaussianMixturePrior(Prior):
    """Mixture of diagonal Gaussians as prior, one for each rung of the code: clusters of images.

        p(z) = prod_l sum_k pi_lk N(z_l; loc_lk, diag(scale_lk^2))

    With the prior's own p(k | z) as posterior of the cluster, the ELBO with clusters is the ELBO of
    this mixture, so training needs no other objective, and the cluster is read off the code.
    `initialize_from_data` puts the means where k-means finds them among the codes of images, and
    `fit_clusters` sets deviations and weights to those of k-means too.

    Args:
        latent_dim: size of the code.
        components: number of clusters of each rung, an integer or one for each rung.
        rungs: sizes of the rungs, from the bottom up; None for one rung, the whole code.
        scale: first standard deviation of every cluster, above 0.0001.
        seed: seed of the first means, N(0, 1), and of k-means; an integer from 0 to 2**32 - 1.

    Input shape: codes, `(batch, latent_dim)`; output shape: their log-density in nats, `(batch,)`.

    Raises:
        ValueError: for components below 1, rungs that do not add up to `latent_dim`, or a scale
            of 0.0001 or less; in `initialize_from_data` and `fit_clusters`, for fewer codes than
            components.

    Example:
        >>> import keras
        >>> from vlae_tf.priors import GaussianMixturePrior
        >>> prior = GaussianMixturePrior(3, components=[2, 5], rungs=[2, 1])
        >>> [tuple(each.shape) for each in prior.cluster_log_probs(keras.ops.zeros((4, 3)))]
        [(4, 2), (4, 5)]

    Reference:
        Falck et al., "Multi-Facet Clustering Variational Autoencoders", NeurIPS 2021, equations 3
        to 6; Willetts et al., "Disentangling to Cluster: Gaussian Mixture Variational Ladder
        Autoencoders", 2019.
    """

    def __init__(self, latent_dim, components=10, rungs=None, scale=0.1, seed=0, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.rungs = rungs if rungs is None else check_rungs(rungs, latent_dim)
        sizes = self.rungs or [self.latent_dim]
        if isinstance(components, (list, tuple)):
            counts = check_integers(components, "components", least=1, length=len(sizes))
            self.components = counts
        else:
            self.components = check_integer(components, "components", least=1)
            counts = [self.components] * len(sizes)
        self.scale = check_number(scale, "scale", above=1e-4)
        self.seed = check_seed(seed)
        raw = _raw_scale(self.scale)
        self._mixtures = [
            {
                "logits": self._weight("logits", (count,), "zeros"),
                "loc": self._weight(
                    "loc", (count, size), keras.initializers.RandomNormal(0.0, 1.0, seed + rung)
                ),
                "raw_scale": self._weight(
                    "raw_scale", (count, size), keras.initializers.Constant(raw)
                ),
            }
            for rung, (count, size) in enumerate(zip(counts, sizes, strict=True))
        ]
        self.built = True

    def _weight(self, name, shape, initializer):
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def distribution(self):
        """The `GaussianMixture`, or the `IndependentRungs` of one for each rung."""
        mixtures = [
            GaussianMixture(
                ops.convert_to_tensor(weights["logits"]),
                ops.convert_to_tensor(weights["loc"]),
                positive_scale(ops.convert_to_tensor(weights["raw_scale"])),
            )
            for weights in self._mixtures
        ]
        return mixtures[0] if self.rungs is None else IndependentRungs(mixtures)

    def cluster_log_probs(self, code):
        """log p(k | z_l) of the clusters of each rung: a list of `(batch, components)`, nats.

        Args:
            code: codes, `(batch, latent_dim)`.
        """
        distribution = self.distribution()
        code = ops.convert_to_tensor(code)
        pairs = [(distribution, code)]
        if self.rungs is not None:
            pairs = zip(distribution.rungs, distribution.split(code), strict=True)
        joint = [mixture.component_log_probs(part) for mixture, part in pairs]
        return [each - ops.logsumexp(each, axis=-1, keepdims=True) for each in joint]

    def initialize_from_data(self, codes):
        """Sets the means of the clusters to those that k-means finds among codes.

        Args:
            codes: codes of images, `(n, latent_dim)`; a few for each cluster at the least.
        """
        for weights, means, _, _ in self._k_means(codes):
            weights["loc"].assign(means)

    def fit_clusters(self, codes):
        """Sets the clusters to those that k-means finds among codes: means, standard deviations of
        at least 0.01, and weights, by the number of codes in each and one more.

        Args:
            codes: codes of images, `(n, latent_dim)`; many for each cluster.
        """
        for weights, means, part, clusters in self._k_means(codes):
            counts = np.bincount(clusters, minlength=len(means))
            overall = part.std(axis=0)
            # One code has no deviation of its own.
            scales = [
                part[clusters == k].std(axis=0) if counts[k] > 1 else overall
                for k in range(len(means))
            ]
            weights["loc"].assign(means)
            weights["raw_scale"].assign(_raw_scale(np.maximum(scales, 0.01)))
            weights["logits"].assign(np.log(counts + 1.0))

    def _k_means(self, codes):
        """For each rung its weights, the means, the codes of the rung, and their clusters."""
        from scipy.cluster.vq import kmeans2

        codes = np.asarray(codes)
        most = max(weights["loc"].shape[0] for weights in self._mixtures)
        right = codes.ndim == 2 and codes.shape[1] == self.latent_dim and np.isfinite(codes).all()
        if not right or len(codes) < most:
            expected = (
                f"finite numbers of shape (n, {self.latent_dim}), with n at least {most}, the "
                "number of clusters"
            )
            refuse("codes", expected, codes, f"codes with shape {codes.shape}")
        parts = np.split(codes, np.cumsum(self.rungs or [])[:-1], axis=1)
        for part, weights in zip(parts, self._mixtures, strict=True):
            count = weights["loc"].shape[0]
            means, clusters = kmeans2(part, count, minit="++", rng=self.seed)
            yield weights, means, part, clusters


def _raw_scale(scale):
    """The value before the softplus at which `positive_scale` is `scale`, more than 0.0001."""
    return scale - 1e-4 + np.log(-np.expm1(1e-4 - scale)) - 0.5413

"""How well clusters that were found without labels agree with classes."""

import numpy as np
from numpy.typing import ArrayLike

from vlae_tf.checks import refuse

# Shufflings of the labels whose mean accuracy is the chance level.
_SHUFFLINGS = 10


def clustering_accuracy(clusters: ArrayLike, labels: ArrayLike) -> dict:
    """Share of images whose class is that of their cluster, under both usual mappings.

        majority = 1/n sum_k max_c n_kc
        hungarian = 1/n max_m sum_k n_k,m(k)        (m maps no two clusters to one class)

    n_kc is the number of images of class c in cluster k. The majority mapping gives each cluster
    its most frequent class, so more clusters never lower it; the Hungarian mapping gives each class
    at most one cluster, so clusters beyond the number of classes count as wrong. Figures of the two
    must not be compared. Both mappings are made of the images that they are measured on, as in the
    literature; the chance level, the mean accuracy when the labels are shuffled, tells what that
    alone gives.

    Args:
        clusters: array of integers, `(n,)`; the cluster of each image.
        labels: array of integers, `(n,)`; the class of each image.

    Returns:
        A dict of `majority` and `hungarian`, each a dict of `accuracy` and `chance`, 0 to 1.

    Raises:
        ValueError: for anything but two rows of integers, of the same length and not empty.

    Example:
        >>> from vlae_tf.evaluation import clustering_accuracy
        >>> found = clustering_accuracy([0, 0, 1, 2], [5, 5, 5, 7])
        >>> found["majority"]["accuracy"], found["hungarian"]["accuracy"]
        (1.0, 0.75)

    Reference:
        Xie et al., "Unsupervised Deep Embedding for Clustering Analysis", ICML 2016, equation 10,
        for the Hungarian mapping; Falck et al., "Multi-Facet Clustering Variational Autoencoders",
        NeurIPS 2021, for the majority mapping.
    """
    clusters, labels = _integers(clusters, "clusters"), _integers(labels, "labels")
    if len(clusters) != len(labels):
        received = f"{len(clusters)} clusters and {len(labels)} labels"
        refuse("labels", "one for each of `clusters`", labels, received)
    _, clusters = np.unique(clusters, return_inverse=True)
    _, labels = np.unique(labels, return_inverse=True)
    rng = np.random.default_rng(0)
    shuffled = [_accuracies(clusters, rng.permutation(labels)) for _ in range(_SHUFFLINGS)]
    return {
        name: {"accuracy": accuracy, "chance": float(np.mean([each[name] for each in shuffled]))}
        for name, accuracy in _accuracies(clusters, labels).items()
    }


def _accuracies(clusters, labels):
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((clusters.max() + 1, labels.max() + 1), int)
    np.add.at(counts, (clusters, labels), 1)
    one_to_one = counts[linear_sum_assignment(counts, maximize=True)].sum()
    right = {"majority": counts.max(axis=1).sum(), "hungarian": one_to_one}
    return {name: float(number / len(labels)) for name, number in right.items()}


def _integers(values, name):
    values = np.asarray(values)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iu":
        received = f"{name} of type {values.dtype} and shape {values.shape}"
        refuse(name, "one integer for each image, one or more", values, received)
    return values

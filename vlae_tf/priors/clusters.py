from keras import ops


def most_probable_clusters(log_probs):
    """The cluster that a code is most probably in, for each rung that has clusters.

    Args:
        log_probs: list of log p(k | z_l), `(batch, components)`, as a prior's `cluster_log_probs`
            gives it; empty for a prior without clusters.

    Returns:
        A dict of `cluster`, int32, the index of the most probable one, and `cluster_probability`,
        its p(k | z_l), float32; both `(batch, rungs)`, from the bottom up. Without clusters an
        empty dict.

    Example:
        >>> import keras
        >>> from vlae_tf.priors import GaussianMixturePrior, most_probable_clusters
        >>> prior = GaussianMixturePrior(3, components=[2, 5], rungs=[2, 1])
        >>> found = most_probable_clusters(prior.cluster_log_probs(keras.ops.zeros((4, 3))))
        >>> tuple(found["cluster"].shape)
        (4, 2)

    Reference:
        Falck et al., "Multi-Facet Clustering Variational Autoencoders", NeurIPS 2021, equation 6.
    """
    if not log_probs:
        return {}
    best = [ops.cast(ops.argmax(each, axis=-1), "int32") for each in log_probs]
    highest = [ops.exp(ops.max(each, axis=-1)) for each in log_probs]
    return {
        "cluster": ops.stack(best, axis=-1),
        "cluster_probability": ops.stack(highest, axis=-1),
    }

import keras

from vlae_tf.checks import check_integer, refuse


class Clustering(keras.callbacks.Callback):
    """Before an epoch, finds the clusters of the prior anew among the codes of images.

    The codes of an untrained encoder say little, and clusters that began among them often stay
    where they are. After some epochs with broad, overlapping clusters, near to one Gaussian, the
    codes are those of an ordinary model, and k-means finds more in them.

    Args:
        epoch: number of epochs before it.
        images: images as the model takes them, uint8 or float; thousands.

    Raises (in `fit`):
        ValueError: for a model whose prior has no `fit_clusters`.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.training import Clustering
        >>> Clustering(epoch=8, images=np.zeros((5000, 28, 28, 1), "uint8")).epoch
        8

    Reference:
        Jiang et al., "Variational Deep Embedding", IJCAI 2017, section 4.2 (a mixture fitted to the
        codes of a trained autoencoder).
    """

    def __init__(self, epoch, images):
        super().__init__()
        self.epoch = check_integer(epoch, "epoch", least=0)
        self.images = images

    def on_train_begin(self, logs=None):
        prior = self.model.prior_family
        if not hasattr(prior, "fit_clusters"):
            expected = "None for a prior without `fit_clusters`, such as `GaussianMixturePrior` has"
            received = f"clustering_epoch={self.epoch} with a {type(prior).__name__}"
            refuse("clustering_epoch", expected, self.epoch, received)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.prior_family.fit_clusters(self.model.encode(self.images))

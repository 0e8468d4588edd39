import keras
from keras import ops

from vlae_tf.backend import whole_batch
from vlae_tf.checks import check_number
from vlae_tf.distributions import DiagonalGaussian
from vlae_tf.objectives.elbo import ELBO

# Variances count as no smaller: the divergences divide by them.
_LEAST_VARIANCE = 1e-4


@keras.saving.register_keras_serializable(package="vlae_tf")
class MutualPosteriorDivergenceELBO(ELBO):
    """Evidence lower bound that rewards posteriors for being far apart, and evenly so.

        loss = -E_x[log p(x | z)] + max(free_bits, E_x[KL])
               - eta sum_d log sigmoid(MPD_d) + gamma std_{i != j}(sum_d D_ijd)
        D_ijd = KL(q(z_d | x_i) || q(z_d | x_j)),    MPD_d = mean_{i != j} D_ijd        (nats)

    over the ordered pairs of images of the minibatch, so the size of the batch is part of the
    objective. The posterior is a diagonal Gaussian; of one that is bent by a flow, the Gaussian
    before the flow counts. Standard deviations below 0.01 count as 0.01, for the divergences divide
    by them. The pairs cost two products of matrices and no array of batch x batch x
    dimensions.

    Args:
        eta: weight of the reward for divergence. 0 with a `gamma` of 0 leaves the ELBO.
        gamma: weight of the penalty on uneven divergence.
        free_bits: nats of the whole code that are free of cost.
        warmup_steps: number of training steps until the KL has its full weight.
        seed: seed of the codes.

    Call arguments and returns: those of `ELBO`, and `mpd_mean` and `mpd_std`, scalars in nats: mean
    and standard deviation over the pairs of the divergence of the whole code.

    Raises:
        ValueError: for a negative weight, or a posterior that is no diagonal Gaussian.

    Example:
        >>> from vlae_tf.objectives import MutualPosteriorDivergenceELBO
        >>> sorted(set(MutualPosteriorDivergenceELBO(eta=1.0, gamma=0.1).terms))
        ['elbo', 'kl', 'mpd_mean', 'mpd_std', 'reconstruction']

    Reference:
        Ma et al., "MAE: Mutual Posterior-Divergence Regularization for Variational AutoEncoders",
        ICLR 2019, equations 6 to 9.
    """

    terms = {**ELBO.terms, "mpd_mean": "nats", "mpd_std": "nats"}

    def __init__(self, eta=1.0, gamma=0.1, free_bits=0.0, warmup_steps=0, seed=0, **kwargs):
        super().__init__(free_bits=free_bits, warmup_steps=warmup_steps, seed=seed, **kwargs)
        self.eta = check_number(eta, "eta", least=0)
        self.gamma = check_number(gamma, "gamma", least=0)

    def check(self, posterior, prior):
        super().check(posterior, prior)
        _gaussian(posterior)

    def compute_output_spec(self, images, model, training=False):
        scalars = dict.fromkeys(("mpd_mean", "mpd_std"), keras.KerasTensor((), dtype="float32"))
        return {**super().compute_output_spec(images, model, training), **scalars}

    def batch_terms(self, posterior, code, prior):
        gaussian = _gaussian(posterior)
        parameters = map(whole_batch, (gaussian.center(), gaussian.spread()))
        by_dimension, mean, deviation = mutual_divergence(*parameters)
        cost = self.gamma * deviation - self.eta * ops.sum(ops.log_sigmoid(by_dimension))
        return cost, {"mpd_mean": mean, "mpd_std": deviation}


def mutual_divergence(loc, scale):
    """Mutual divergence of diagonal Gaussians over the ordered pairs of a batch.

    Args:
        loc: means, `(batch, d)`.
        scale: standard deviations, `(batch, d)`.

    Returns:
        The mean over pairs in each dimension, `(d,)`, and mean and standard deviation over pairs
        of the sum over dimensions, scalars; all in nats.
    """
    # KL is the same for shifted means; large ones would cancel.
    loc = loc - ops.mean(loc, axis=0)
    variance = ops.maximum(ops.square(scale), _LEAST_VARIANCE)
    inverse, squares = 1.0 / variance, ops.square(loc)
    rows = ops.cast(ops.shape(loc)[0], "float32")
    # A batch of one image has no pairs, and no divergence.
    pairs = ops.maximum(rows * (rows - 1.0), 1.0)

    def over_batch(values):
        return ops.sum(values, axis=0)

    sums = (
        over_batch(variance + squares) * over_batch(inverse)
        - 2.0 * over_batch(loc) * over_batch(loc * inverse)
        + rows * over_batch(squares * inverse)
    )
    by_dimension = 0.5 * (sums - rows * rows) / pairs

    products = ops.matmul(variance + squares, ops.transpose(inverse))
    products = products - 2.0 * ops.matmul(loc, ops.transpose(loc * inverse))
    logs = ops.sum(ops.log(variance), axis=-1)
    of_row = ops.sum(squares * inverse, axis=-1) + logs
    size = float(loc.shape[-1])
    divergence = 0.5 * (products + of_row[None, :] - logs[:, None] - size)
    mean = ops.sum(by_dimension)
    apart = 1.0 - ops.eye(ops.shape(loc)[0], dtype="float32")
    squared = ops.sum(apart * ops.square(divergence - mean)) / ops.maximum(pairs - 1.0, 1.0)
    # The gradient of a root is infinite at 0.
    return by_dimension, mean, ops.sqrt(squared + 1e-12)


def _gaussian(posterior):
    """The diagonal Gaussian of a posterior, before a flow if there is one."""
    for gaussian in (posterior, getattr(posterior, "distribution", None)):
        if isinstance(gaussian, DiagonalGaussian):
            return gaussian
    raise ValueError(
        "`MutualPosteriorDivergenceELBO` needs a diagonal Gaussian posterior, such as "
        f"`GaussianPosterior` or `IAFPosterior`. Received: {type(posterior).__name__}"
    )

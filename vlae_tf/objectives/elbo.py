import keras
from keras import ops

from vlae_tf.backend import whole_batch
from vlae_tf.checks import check_integer, check_number, check_seed, refuse
from vlae_tf.noise import batch_normal
from vlae_tf.objectives.bounds import log_weights
from vlae_tf.objectives.objective import Objective


@keras.saving.register_keras_serializable(package="vlae_tf")
class ELBO(Objective):
    """Evidence lower bound with hard free bits and KL warm-up.

        elbo = E_q[log p(x | z)] - KL,    KL = E_q[log q(z | x) - log p(z)]        (nats)
        loss = -E_x[log p(x | z)] + w * sum_{j=1..groups} max(free_bits, E_x[KL_j])

    The mean over the minibatch is taken before the maximum, so only the average code must carry
    `free_bits` nats a group. w rises linearly to 1 over the first `warmup_steps` training steps.

    Args:
        free_bits: nats of each group that are free of cost; the paper has 0.01 for each data
            dimension, which is 7.84 for a 28x28 image in one group.
        groups: number of equal groups of code dimensions. More than one needs a posterior and a
            prior whose densities are sums over dimensions (`log_prob_terms`).
        warmup_steps: number of training steps until the KL has its full weight.
        samples: number of codes drawn for each image, over which the expectations are averaged.
        seed: seed of the codes.

    Call arguments: `images` `(batch, height, width, channels)`; `model`, a `VAE`; `training`.
    Returns (from a call): a dict of `loss`, a scalar, and `elbo`, `reconstruction` and `kl`,
    `(batch,)`, all in nats. Outside training the loss is minus the mean ELBO, without free bits or
    warm-up.

    Raises:
        ValueError: for negative free bits, groups that do not divide the code, or groups of a
            posterior or prior whose density has no terms.

    Example:
        >>> import keras, vlae_tf
        >>> from vlae_tf.objectives import ELBO
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> small = {"filters": [2], "blocks": 0, "units": 4}
        >>> networks = ResNetEncoder(**small), ResNetDecoder((4, 4, 1), **small)
        >>> prior = vlae_tf.priors.FlowPrior(2, steps=0)
        >>> model = vlae_tf.VLAE(
        ...     (4, 4, 1), 2, *networks, prior_family=prior, objective=ELBO(free_bits=0.16)
        ... )
        >>> terms = model.objective(keras.ops.zeros((2, 4, 4, 1)), model=model)
        >>> tuple(terms["elbo"].shape), tuple(terms["loss"].shape)
        ((2,), ())

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equations 12 to 14 and appendix C.
    """

    def __init__(self, free_bits=0.0, groups=1, warmup_steps=0, samples=1, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.free_bits = check_number(free_bits, "free_bits", least=0)
        self.groups = check_integer(groups, "groups", least=1)
        self.warmup_steps = check_integer(warmup_steps, "warmup_steps", least=0)
        self.samples = check_integer(samples, "samples", least=1)
        self.seed = check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.step = self.add_weight(shape=(), dtype="int32", trainable=False, name="step")
        self.built = True

    def check(self, posterior, prior):
        if self.groups == 1:
            return
        size = int(prior.event_shape[-1])
        if size % self.groups:
            refuse("groups", f"a divisor of the {size} dimensions of the code", self.groups)
        check_terms("`groups` above 1", posterior, prior)

    def call(self, images, model, training=False):
        posterior = model.posterior(images, training=training)
        shape = (self.samples, ops.shape(images)[0], model.latent_dim)
        noise = batch_normal(shape, self.seed_generator, axis=1)
        weights = log_weights(model, images, noise, posterior, training)
        kl_groups = weights.kl[..., None]
        if self.groups > 1:
            terms = posterior.log_prob_terms(weights.code)
            terms = terms - model.prior().log_prob_terms(weights.code)
            size = model.latent_dim // self.groups
            kl_groups = ops.sum(ops.reshape(terms, (*shape[:2], self.groups, size)), axis=-1)
        reconstruction = ops.mean(weights.reconstruction, axis=0)
        kl_groups = ops.mean(kl_groups, axis=0)
        kl = ops.sum(kl_groups, axis=-1)
        elbo = reconstruction - kl
        loss = -ops.mean(elbo)
        cost, more = self.batch_terms(posterior, weights.code, model.prior())
        if training:
            self.step.assign_add(1)
            kl_batch = ops.mean(whole_batch(kl_groups), axis=0)
            loss = self.training_kl(kl_batch) - ops.mean(reconstruction) + cost
        return {"loss": loss, "elbo": elbo, "reconstruction": reconstruction, "kl": kl, **more}

    def batch_terms(self, posterior, code, prior):
        """What a subclass adds that depends on the whole batch: a cost in training, and terms.

        Args:
            posterior, prior: the model's distributions, a `CodeDistribution` each.
            code: codes drawn from the posterior, `(samples, batch, latent_dim)`.

        Returns:
            The cost, a scalar in nats, and a dict of the terms that the subclass declares.
        """
        return 0.0, {}

    def training_kl(self, kl_groups):
        """Cost of the KL in training, a scalar, from the batch's mean KL in each group, nats."""
        if self.free_bits:
            kl_groups = ops.maximum(kl_groups, self.free_bits)
        return self.kl_weight() * ops.sum(kl_groups)

    def kl_weight(self):
        """The weight of the KL at this step of the warm-up."""
        if not self.warmup_steps:
            return 1.0
        return ops.minimum(1.0, ops.cast(self.step, "float32") / self.warmup_steps)


def check_terms(what, posterior, prior):
    """Raises a `ValueError` unless both densities are sums over the dimensions of the code."""
    for distribution in (posterior, prior):
        if not hasattr(distribution, "log_prob_terms"):
            raise ValueError(
                f"{what} needs a posterior and a prior whose log-density is a sum over the "
                "dimensions of the code, such as `GaussianPosterior` and `FlowPrior`. "
                f"Received: {type(distribution).__name__}, which has no `log_prob_terms`"
            )

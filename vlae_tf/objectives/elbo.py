import keras
from keras import ops

from vlae_tf.noise import step_seed


@keras.saving.register_keras_serializable(package="vlae_tf")
class ELBO(keras.layers.Layer):
    """Evidence lower bound with hard free bits and KL warm-up.

        elbo = E_q[log p(x | z)] - KL,    KL = E_q[log q(z | x) - log p(z)]       (nats, one z each)
        loss = -E_x[log p(x | z)] + w * sum_{j=1..groups} max(free_bits, E_x[KL_j])

    The mean over the minibatch is taken before the maximum, so only the average code must carry
    `free_bits` nats a group. w rises linearly to 1 over the first `warmup_steps` training steps.

    Args:
        free_bits: nats of each group that cost nothing; the paper has 0.01 for each data dimension,
            7.84 for a 28x28 image in one group.
        groups: number of equal groups of code dimensions. More than one needs a posterior and a
            prior whose densities are sums over dimensions (`log_prob_terms`).
        warmup_steps: training steps until the KL has its full weight.
        seed: of the sample of z.

    Call arguments: `images` `(batch, height, width, channels)`; `model`, a `VLAE`; `training`.
    Returns (from a call): a dict of `loss`, a scalar, and `elbo`, `reconstruction` and `kl`,
    `(batch,)`, all in nats. Outside training the loss is minus the mean ELBO, without free bits or
    warm-up.

    Raises:
        ValueError: for negative free bits, groups that do not divide the code, or groups of a
            posterior or prior whose density has no terms.

    Example:
        >>> import keras, vlae_tf
        >>> from vlae_tf.objectives import ELBO
        >>> model = vlae_tf.VLAE((8, 8, 1), latent_dim=4, objective=ELBO(free_bits=0.64))
        >>> terms = model.objective(keras.ops.zeros((2, 8, 8, 1)), model=model)
        >>> tuple(terms["elbo"].shape), tuple(terms["loss"].shape)
        ((2,), ())

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equations 12 to 14 and appendix C.
    """

    def __init__(self, free_bits=0.0, groups=1, warmup_steps=0, seed=0, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if not free_bits >= 0 or groups < 1 or warmup_steps < 0:
            raise ValueError(
                "`free_bits` and `warmup_steps` must not be negative and `groups` must be positive."
                f" Received: free_bits={free_bits!r}, groups={groups!r}, "
                f"warmup_steps={warmup_steps!r}"
            )
        self.free_bits = float(free_bits)
        self.groups = groups
        self.warmup_steps = warmup_steps
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.step = self.add_weight(shape=(), dtype="int32", trainable=False, name="step")
        self.built = True

    def call(self, images, model, training=False):
        posterior = model.posterior(images, training=training)
        prior = model.prior()
        seed = step_seed(self.seed_generator)
        if self.groups == 1:
            code, log_q = posterior.experimental_sample_and_log_prob(seed=seed)
            kl_groups = ops.expand_dims(log_q - prior.log_prob(code), -1)
        else:
            code = posterior.sample(seed=seed)
            kl_groups = self._grouped(_terms(posterior, code) - _terms(prior, code))
        reconstruction = model.likelihood(code, training=training).log_prob(images)
        kl = ops.sum(kl_groups, axis=-1)
        elbo = reconstruction - kl
        loss = -ops.mean(elbo)
        if training:
            self.step.assign_add(1)
            loss = self.training_kl(ops.mean(kl_groups, axis=0)) - ops.mean(reconstruction)
        return {"loss": loss, "elbo": elbo, "reconstruction": reconstruction, "kl": kl}

    def training_kl(self, kl_groups):
        """What the KL costs in training, a scalar, given the batch's mean in each group, nats."""
        if self.free_bits:
            kl_groups = ops.maximum(kl_groups, self.free_bits)
        return self.kl_weight() * ops.sum(kl_groups)

    def kl_weight(self):
        """The weight of the KL at this step of the warm-up."""
        if not self.warmup_steps:
            return 1.0
        return ops.minimum(1.0, ops.cast(self.step, "float32") / self.warmup_steps)

    def _grouped(self, terms):
        if terms.shape[-1] % self.groups:
            raise ValueError(
                f"`groups` must divide the {terms.shape[-1]} dimensions of the code. "
                f"Received: groups={self.groups}"
            )
        return ops.sum(ops.reshape(terms, (-1, self.groups, terms.shape[-1] // self.groups)), -1)

    def compute_output_spec(self, images, model, training=False):
        rows = keras.KerasTensor(images.shape[:1], dtype="float32")
        loss = keras.KerasTensor((), dtype="float32")
        return {"loss": loss, "elbo": rows, "reconstruction": rows, "kl": rows}

    def get_config(self):
        return {
            **super().get_config(),
            "free_bits": self.free_bits,
            "groups": self.groups,
            "warmup_steps": self.warmup_steps,
            "seed": self.seed,
        }


def _terms(distribution, code):
    if not hasattr(distribution, "log_prob_terms"):
        raise ValueError(
            "`groups` above 1 needs a posterior and a prior whose log-density is a sum over the "
            "dimensions of the code, such as `GaussianPosterior` and `FlowPrior`. Received: "
            f"{type(distribution).__name__}, which has no `log_prob_terms`"
        )
    return distribution.log_prob_terms(code)

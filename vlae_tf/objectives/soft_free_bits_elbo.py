import keras
from keras import ops

from vlae_tf.checks import check_number
from vlae_tf.objectives.elbo import ELBO

# A weight of exactly 0 could never rise again.
_LEAST = 1e-6


@keras.saving.register_keras_serializable(package="vlae_tf")
class SoftFreeBitsELBO(ELBO):
    """Evidence lower bound whose KL is held near `free_bits` by a controller of its weight.

        loss = -E_x[log p(x | z)] + gamma * E_x[KL],        0 < gamma <= 1

    After each training step gamma is raised by the factor `1 + rate` if the batch's KL was more
    than `tolerance` above `free_bits`, and lowered by `1 - rate` if it was below. Unlike hard free
    bits, this has a gradient of the KL everywhere.

    Args:
        free_bits: nats of the whole code that the controller aims at, lambda in the paper.
        tolerance: largest excess of the KL over `free_bits`, relative to it. The paper tried 0.03
            to 0.3.
        rate: relative size of a change of gamma.
        initial_weight: value of gamma at the first step.
        seed: seed of the sample of z.

    Call arguments and returns: those of `ELBO`. gamma is a weight of the layer and is saved with
    the model, so that a resumed run continues with it.

    Raises:
        ValueError: for free bits or a tolerance below 0, or a rate or weight outside (0, 1].

    Example:
        >>> from vlae_tf.objectives import SoftFreeBitsELBO
        >>> float(SoftFreeBitsELBO(free_bits=7.84, initial_weight=0.5).gamma)
        0.5

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, appendix C.
    """

    def __init__(self, free_bits, tolerance=0.05, rate=0.1, initial_weight=1.0, seed=0, **kwargs):
        super().__init__(free_bits=free_bits, seed=seed, **kwargs)
        self.tolerance = check_number(tolerance, "tolerance", least=0)
        self.rate = check_number(rate, "rate", above=0, below=1)
        check_number(initial_weight, "initial_weight", least=_LEAST, most=1)
        self.initial_weight = initial_weight
        self.gamma = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(initial_weight),
            trainable=False,
            name="gamma",
        )

    def training_kl(self, kl_groups):
        kl = ops.sum(kl_groups)
        # Before the controller acts: what it sees now is for the next step.
        cost = self.gamma * kl
        change = ops.where(kl > (1 + self.tolerance) * self.free_bits, 1 + self.rate, 1.0)
        change = ops.where(kl < self.free_bits, 1 - self.rate, change)
        self.gamma.assign(ops.clip(self.gamma * change, _LEAST, 1.0))
        return cost

    def kl_weight(self):
        """gamma, the weight of the KL at this step."""
        return ops.convert_to_tensor(self.gamma)

    def get_config(self):
        config = super().get_config()
        del config["groups"], config["warmup_steps"]
        return config

import keras
import numpy as np
from keras import ops

from vlae_tf.backend import split_sizes
from vlae_tf.checks import check_integer, check_integers, check_rungs, check_seed
from vlae_tf.noise import batch_normal
from vlae_tf.objectives.bounds import log_likelihood
from vlae_tf.objectives.elbo import check_terms
from vlae_tf.objectives.objective import Objective


@keras.saving.register_keras_serializable(package="vlae_tf")
class LadderELBO(Objective):
    """Evidence lower bound of a ladder, whose rungs may join the training one after the other.

        elbo = E_q[log p(x | z)] - sum_l KL_l                                             (nats)
        loss = -E_q[log p(x | a_1 z_1, ..., a_L z_L)] + sum_l a_l KL_l

    The rung at the top has a_L = 1 from the start. The one below it stays out for `steps_a_rung`
    training steps and then fades in, a_l rising linearly to 1 over `fade_steps`; the next one
    follows in the same time again. So the rungs above learn what they can before a rung below
    competes with them. Without steps of either kind it is the plain ELBO, with the KL of each rung
    as a metric.

    Args:
        rungs: sizes of the parts of the code, from the bottom up.
        steps_a_rung: training steps for which a rung stays out after the one above it has come in.
        fade_steps: training steps over which a rung comes in.
        seed: seed of the codes.

    Attributes:
        terms: those of `Objective`, and `kl_1`, ..., `kl_L`, the KL of each rung in nats. Until
            all rungs are in, `elbo` is in training that of the faded code.

    Call arguments and returns: those of `Objective`. Outside training the loss is minus the mean
    ELBO, of the whole code.

    Raises:
        ValueError: for rungs that do not add up to the code, negative steps, or a posterior or
            prior whose density is no sum over dimensions (`log_prob_terms`).

    Example:
        >>> from vlae_tf.objectives import LadderELBO
        >>> objective = LadderELBO(rungs=[2, 2, 2], steps_a_rung=100, fade_steps=50)
        >>> objective.rung_weights().tolist(), list(objective.terms)[-1]
        ([0.0, 0.0, 1.0], 'kl_3')

    Reference:
        Zhao et al., "Learning Hierarchical Features from Generative Models", ICML 2017, equation 9;
        Li et al., "Progressive Learning and Disentanglement of Hierarchical Representations", ICLR
        2020, equations 4 to 6, for the fading.
    """

    def __init__(self, rungs, steps_a_rung=0, fade_steps=0, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.rungs = check_integers(rungs, "rungs", least=1)
        self.steps_a_rung = check_integer(steps_a_rung, "steps_a_rung", least=0)
        self.fade_steps = check_integer(fade_steps, "fade_steps", least=0)
        self.seed = check_seed(seed)
        names = [f"kl_{rung + 1}" for rung in range(len(self.rungs))]
        self.terms = {**Objective.terms, **dict.fromkeys(names, "nats")}
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.step = self.add_weight(shape=(), dtype="int32", trainable=False, name="step")
        self.built = True

    def check(self, posterior, prior):
        check_rungs(self.rungs, int(prior.event_shape[-1]))
        check_terms("LadderELBO", posterior, prior)

    def rung_weights(self):
        """The weights a_1, ..., a_L at this step, as a NumPy array."""
        return ops.convert_to_numpy(self._rung_weights())

    def _rung_weights(self):
        # How long each rung has been coming in, from the bottom up.
        below_top = np.arange(len(self.rungs))[::-1]
        starts = below_top * self.steps_a_rung + np.maximum(below_top - 1, 0) * self.fade_steps
        since = ops.cast(self.step, "float32") - ops.convert_to_tensor(starts, "float32")
        faded = ops.clip((since + 1) / max(self.fade_steps, 1), 0.0, 1.0)
        return ops.where(ops.convert_to_tensor(below_top == 0), 1.0, faded)

    def call(self, images, model, training=False):
        posterior, prior = model.posterior(images, training=training), model.prior()
        shape = (1, ops.shape(images)[0], model.latent_dim)
        noise = batch_normal(shape, self.seed_generator, axis=1)
        code = posterior.from_noise(noise)
        terms = posterior.log_prob_terms(code) - prior.log_prob_terms(code)
        kl_rungs = [ops.sum(part[0], axis=-1) for part in split_sizes(terms, self.rungs)]
        weights = self._rung_weights()
        if training:
            self.step.assign_add(1)
            code = code * ops.repeat(weights, np.array(self.rungs), axis=0)
        reconstruction = log_likelihood(model, images, code, training)[0]
        kl = sum(kl_rungs)
        elbo = reconstruction - kl
        loss = -ops.mean(elbo)
        if training:
            means = ops.stack([ops.mean(rung) for rung in kl_rungs])
            loss = ops.sum(weights * means) - ops.mean(reconstruction)
        by_rung = {f"kl_{index + 1}": rung for index, rung in enumerate(kl_rungs)}
        return {"loss": loss, "elbo": elbo, "reconstruction": reconstruction, "kl": kl, **by_rung}

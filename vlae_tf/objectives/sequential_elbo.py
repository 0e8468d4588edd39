import keras
from keras import ops

from vlae_tf.checks import check_integers, check_number, check_seed
from vlae_tf.noise import batch_normal
from vlae_tf.objectives.bounds import draw_code
from vlae_tf.objectives.objective import Objective


@keras.saving.register_keras_serializable(package="vlae_tf")
class SequentialELBO(Objective):
    """Evidence lower bound of a decoder in steps, each of which is trained for itself.

        elbo = E_q[log p(x | maps_T)] - KL                                                (nats)
        loss = -E_q[log p(x | maps_T)] - step_weight * sum_{t < T} E_q[log p(x | maps_t)] + KL

    Only the last step's likelihood belongs to log p(x); the others are auxiliary losses that make
    each step draw the image as well as it can. No gradient goes from a step to those before it.

    Args:
        rungs: sizes of the parts of the code, one a step: those of the `ChainDecoder`.
        step_weight: weight of the likelihoods of the steps before the last.
        seed: seed of the codes.

    Attributes:
        terms: those of `Objective`, and `reconstruction_1`, ..., `reconstruction_T`, log p(x |
            maps_t) of each step in nats; the last one equals `reconstruction`.

    Call arguments and returns: those of `Objective`. Outside training the loss is minus the mean
    ELBO.

    Raises:
        ValueError: for invalid rungs, a negative weight, or a decoder that is no chain.

    Example:
        >>> from vlae_tf.objectives import SequentialELBO
        >>> list(SequentialELBO(rungs=[8, 8]).terms)[-2:]
        ['reconstruction_1', 'reconstruction_2']

    Reference:
        Zhao, Song & Ermon, "Towards Deeper Understanding of Variational Autoencoding Models", 2017,
        section 5. The gradients are stopped as in the authors' code.
    """

    def __init__(self, rungs, step_weight=1.0, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.rungs = check_integers(rungs, "rungs", least=1)
        self.step_weight = check_number(step_weight, "step_weight", least=0)
        self.seed = check_seed(seed)
        names = [f"reconstruction_{step + 1}" for step in range(len(self.rungs))]
        self.terms = {**Objective.terms, **dict.fromkeys(names, "nats")}
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.built = True

    def check_networks(self, decoder, likelihood_family):
        if not callable(getattr(decoder, "chain", None)):
            raise ValueError(
                "`SequentialELBO` needs a decoder in steps, such as `ChainDecoder`. "
                f"Received: decoder={decoder!r}"
            )

    def call(self, images, model, training=False):
        posterior = model.posterior(images, training=training)
        shape = (ops.shape(images)[0], model.latent_dim)
        noise = batch_normal(shape, self.seed_generator)
        code, kl = draw_code(posterior, model.prior(), noise)
        chain = model.decoder.chain(code, training=training, stop_gradients=training)
        by_step = [
            model.likelihood_family.distribution(maps, training=training).log_prob(images)
            for maps in chain
        ]
        *before, reconstruction = by_step
        elbo = reconstruction - kl
        loss = -ops.mean(elbo)
        if training:
            loss = loss - self.step_weight * sum(ops.mean(step) for step in before)
        named = {f"reconstruction_{step + 1}": value for step, value in enumerate(by_step)}
        return {"loss": loss, "elbo": elbo, "reconstruction": reconstruction, "kl": kl, **named}

import keras
from keras import ops

from vlae_tf.checks import check_seed
from vlae_tf.distributions import GaussianMixture
from vlae_tf.noise import batch_normal
from vlae_tf.objectives.bounds import log_likelihood
from vlae_tf.objectives.objective import Objective


@keras.saving.register_keras_serializable(package="vlae_tf")
class MixtureELBO(Objective):
    """Evidence lower bound of a mixture posterior, with a code of each component for each image.

        elbo = sum_m pi_m [ log p(x | z_m) + log p(z_m) - log q(z_m | x) ],    z_m ~ q_m(z | x)
        loss = -E_x[elbo],    q(z | x) = sum_m pi_m(x) q_m(z | x)                       (nats)

    The component is summed over, not drawn: so the weights have a gradient, and no luck in the
    draw. All components and weights are trained at once. The decoder sees as many codes an image as
    there are components.

    Args:
        seed: seed of the codes.

    Call arguments: `images` `(batch, height, width, channels)`; `model`, a `VAE`; `training`.
    Returns (from a call): a dict of `loss`, a scalar, and `elbo`, `reconstruction` and `kl`,
    `(batch,)`, all in nats, and `weight_entropy`, `(batch,)`: the entropy of the weights, nats,
    which is 0 where one component is left and log M where all have the same weight.

    Raises:
        ValueError: for a posterior that is no `GaussianMixture`.

    Example:
        >>> import keras, vlae_tf
        >>> from vlae_tf.networks import MLPDecoder, MLPEncoder
        >>> from vlae_tf.objectives import MixtureELBO
        >>> model = vlae_tf.VLAE(
        ...     (4, 4, 1), 2, MLPEncoder([8]), MLPDecoder((4, 4, 1), units=[8]),
        ...     posterior_family=vlae_tf.posteriors.MixturePosterior(2, components=3),
        ...     prior_family=vlae_tf.priors.FlowPrior(2, steps=0),
        ...     likelihood_family=vlae_tf.likelihoods.BernoulliLikelihood((4, 4, 1)),
        ...     objective=MixtureELBO(),
        ... )
        >>> terms = model.objective(keras.ops.zeros((3, 4, 4, 1)), model=model)
        >>> tuple(terms["elbo"].shape), round(float(terms["weight_entropy"][0]), 2)
        ((3,), 1.1)

    Reference:
        Kviman et al., "Multiple Importance Sampling ELBO and Deep Ensembles of Variational
        Approximations", AISTATS 2022, section 3; Kim & Pavlovic, "Recursive Inference for
        Variational Autoencoders", NeurIPS 2020, where it is the control.
    """

    terms = {**Objective.terms, "weight_entropy": "nats"}

    def __init__(self, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.seed = check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.built = True

    def check(self, posterior, prior):
        if not isinstance(posterior, GaussianMixture):
            raise ValueError(
                f"`{type(self).__name__}` needs a posterior that is a `GaussianMixture`, such as "
                f"`MixturePosterior`. Received: {type(posterior).__name__}"
            )

    def call(self, images, model, training=False):
        posterior, prior = model.posterior(images, training=training), model.prior()
        code = self.draw(posterior, images)[0]
        reconstruction = log_likelihood(model, images, code, training)
        terms = mixture_terms(posterior, prior, code, reconstruction)
        return {"loss": -ops.mean(terms["elbo"]), **terms}

    def draw(self, posterior, images, samples=1):
        """Codes of each component, `(samples, components, batch, latent_dim)`."""
        components = posterior.components()
        size = (components.batch_shape[-1], components.event_shape[-1])
        shape = (samples, ops.shape(images)[0], *size)
        noise = batch_normal(shape, self.seed_generator, axis=1)
        return ops.transpose(components.from_noise(noise), (0, 2, 1, 3))


def mixture_terms(posterior, prior, code, reconstruction):
    """The ELBO of a mixture and its parts, from one code of each component, nats `(batch,)`.

    Args:
        posterior: `GaussianMixture` of batch `(batch,)`.
        prior: `CodeDistribution` of batch `()`.
        code: codes, `(components, batch, latent_dim)`.
        reconstruction: log p(x | z) of them, `(components, batch)`.
    """
    log_weights = ops.transpose(posterior.log_weights())
    weights = ops.exp(log_weights)
    reconstruction = ops.sum(weights * reconstruction, axis=0)
    kl = ops.sum(weights * (posterior.log_prob(code) - prior.log_prob(code)), axis=0)
    return {
        "elbo": reconstruction - kl,
        "reconstruction": reconstruction,
        "kl": kl,
        "weight_entropy": -ops.sum(weights * log_weights, axis=0),
    }

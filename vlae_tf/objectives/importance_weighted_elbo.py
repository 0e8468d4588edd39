import math

import keras
from keras import ops

from vlae_tf.checks import check_choice, check_integer, check_seed, refuse
from vlae_tf.noise import batch_normal
from vlae_tf.objectives.bounds import Weights, log_likelihood, log_weights
from vlae_tf.objectives.objective import Objective

_ESTIMATORS = ("iwae", "dreg", "stl")


@keras.saving.register_keras_serializable(package="vlae_tf")
class ImportanceWeightedELBO(Objective):
    """Importance-weighted bound on log p(x), with K codes for each image.

        bound = E log 1/K sum_k w_k,    log w_k = log p(x | z_k) + log p(z_k) - log q(z_k | x)
        loss = -E_x[bound]                                                             (nats)

    The bound rises with K from the ELBO (K = 1) to log p(x). The estimators differ in the gradient
    alone. With v_k = w_k / sum_j w_j, held constant:

    | estimator | decoder and prior | encoder | bias |
    |---|---|---|---|
    | "iwae" | sum_k v_k grad log w_k | the same | none |
    | "stl" | the same | sum_k v_k grad log w_k along z_k alone | for K above 1 |
    | "dreg" | the same | sum_k v_k^2 grad log w_k along z_k alone | none |

    Along z_k alone means that the parameters of q are held constant in log q(z_k | x). The plain
    gradient of the encoder drowns in noise as K grows; that of "dreg" does not, for a second run of
    the decoder at each step, about 4/3 of the time.

    Args:
        samples: number of codes K for each image. The decoder sees K times the batch, so memory
            grows with K.
        estimator: "iwae", "dreg" or "stl".
        chunk: number of codes of an image that are decoded at once, a divisor of `samples`; None
            for all of them. With it memory holds one chunk whatever K is, and a step decodes each
            code twice. Neither the value nor the gradient changes, but for rounding.
        seed: seed of the codes.

    Call arguments: `images` `(batch, height, width, channels)`; `model`, a `VAE`; `training`.
    Returns (from a call): a dict of `loss`, a scalar, and `bound`, `elbo`, `reconstruction` and
    `kl`, `(batch,)`, all in nats; the last three are means over the K codes.

    Raises:
        ValueError: for an unknown estimator, `samples` below 1, a `chunk` that does not divide
            them, or "dreg" and "stl" with a posterior whose parameters cannot be held constant,
            such as a flow or one of several layers; and for a `chunk` with a decoder or likelihood
            that draws noise of its own, such as dropout.

    Example:
        >>> import keras, vlae_tf
        >>> from vlae_tf.networks import MLPDecoder, MLPEncoder
        >>> from vlae_tf.objectives import ImportanceWeightedELBO
        >>> model = vlae_tf.VLAE(
        ...     (4, 4, 1), 2, MLPEncoder([8]), MLPDecoder((4, 4, 1), units=[8]),
        ...     prior_family=vlae_tf.priors.FlowPrior(2, steps=0),
        ...     likelihood_family=vlae_tf.likelihoods.BernoulliLikelihood((4, 4, 1)),
        ...     objective=ImportanceWeightedELBO(samples=5, estimator="dreg"),
        ... )
        >>> terms = model.objective(keras.ops.zeros((3, 4, 4, 1)), model=model)
        >>> bool(keras.ops.all(terms["bound"] >= terms["elbo"]))
        True

    Reference:
        Burda et al., "Importance Weighted Autoencoders", 2016, equations 8 and 14; Roeder et al.,
        "Sticking the Landing", 2017, equation 8; Tucker et al., "Doubly Reparameterized Gradient
        Estimators for Monte Carlo Objectives", 2019, equation 8.
    """

    terms = {**Objective.terms, "bound": "nats"}

    def __init__(self, samples=50, estimator="iwae", chunk=None, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.samples = check_integer(samples, "samples", least=1)
        self.estimator = check_choice(estimator, "estimator", _ESTIMATORS)
        if chunk is not None:
            chunk = check_integer(chunk, "chunk", least=1)
            if self.samples % chunk:
                refuse("chunk", f"a divisor of `samples`, {self.samples}", chunk)
        self.chunk = chunk
        self.seed = check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.built = True

    def check(self, posterior, prior):
        if self.estimator == "iwae":
            return
        try:
            posterior.detached()
        except ValueError as error:
            raise ValueError(
                f"`estimator` {self.estimator!r} holds the parameters of the posterior constant, "
                f"so they must be tensors; other posteriors take 'iwae'. {error}"
            ) from error

    def check_networks(self, decoder, likelihood_family):
        if self.chunk is None:
            return
        for name, layer in ("decoder", decoder), ("likelihood_family", likelihood_family):
            # What draws noise holds the state of its generator.
            if any(variable.name == "seed_generator_state" for variable in layer.variables):
                raise ValueError(
                    f"`chunk` decodes again for the gradient, so `{name}` must draw no noise of "
                    f"its own, as dropout does. Received: chunk={self.chunk}, {name}={layer}"
                )

    def call(self, images, model, training=False):
        posterior = model.posterior(images, training=training)
        shape = (self.samples, ops.shape(images)[0], model.latent_dim)
        noise = batch_normal(shape, self.seed_generator, axis=1)
        weights = log_weights(model, images, noise, posterior, training, self.chunk)
        total = ops.logsumexp(weights.log_w, axis=0)
        bound = total - math.log(self.samples)
        loss = -ops.mean(bound)
        if training and self.estimator != "iwae":
            shares = ops.stop_gradient(ops.exp(weights.log_w - total))
            code, reconstruction, _ = weights
            if self.estimator == "dreg":
                # The same codes, with a gradient that is multiplied by the shares once more.
                fixed = ops.stop_gradient(code)
                code = fixed + shares[..., None] * (code - fixed)
                reconstruction = log_likelihood(model, images, code, training, self.chunk)
            kl = posterior.detached().log_prob(code) - model.prior().log_prob(code)
            log_w = Weights(code, reconstruction, kl).log_w
            surrogate = -ops.mean(ops.sum(shares * log_w, axis=0))
            # The value of the bound, with the gradient of the surrogate.
            loss = ops.stop_gradient(loss - surrogate) + surrogate
        means = {
            "elbo": weights.log_w, "reconstruction": weights.reconstruction, "kl": weights.kl
        }  # fmt: skip
        means = {name: ops.mean(value, axis=0) for name, value in means.items()}
        return {"loss": loss, "bound": bound, **means}

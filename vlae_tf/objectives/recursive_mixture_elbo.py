import keras
from keras import ops

from vlae_tf.checks import check_integer, check_number
from vlae_tf.objectives.bounds import log_likelihood
from vlae_tf.objectives.mixture_elbo import MixtureELBO, mixture_terms


@keras.saving.register_keras_serializable(package="vlae_tf")
class RecursiveMixtureELBO(MixtureELBO):
    """Criteria of recursive inference: each component looks for what those before it have missed.

        Q_m = (1 - eps_m) Q_{m-1} + eps_m q_m,    Q_1 = q_1
        q_m           maximises  ELBO(q_m) + min(KL(q_m || Q_{m-1}), bound)    for m = 1 the ELBO
        eps_m         maximises  ELBO(Q_m)
        p(x, z)       maximises  ELBO(Q_M)                                              (nats)

    with all else held constant in each, and the bound taken for each image by itself. The KL is a
    reward for being elsewhere. Without a bound it would outweigh the component's own entropy, and
    the component would shrink to a point in the tail.

    All criteria are trained in one step, with one run of the decoder for one code of each component
    (`MixtureELBO` costs the same): the gradient is that of the separate updates. Outside training,
    and as a value, the loss is minus ELBO(Q_M).

    Args:
        bound: most nats that the KL of a component counts, above 0. Between 5 and 50 for codes of
            tens of numbers.
        samples: number of codes of each component over which its KL and its entropy are averaged,
            before the bound is taken; the decoder sees the first alone.
        seed: seed of the codes.

    Call arguments and returns: those of `MixtureELBO`, and `component_kl`, `(batch,)`, nats: the
    mean over the components but the first of KL(q_m || Q_{m-1}), without the bound.

    Raises:
        ValueError: for a bound of 0 or less, `samples` below 1, or a posterior that is no
            `GaussianMixture`.

    Example:
        >>> from vlae_tf.objectives import RecursiveMixtureELBO
        >>> list(RecursiveMixtureELBO(bound=10.0).terms)[-2:]
        ['weight_entropy', 'component_kl']

    Reference:
        Kim & Pavlovic, "Recursive Inference for Variational Autoencoders", NeurIPS 2020, section 3.
    """

    terms = {**MixtureELBO.terms, "component_kl": "nats"}

    def __init__(self, bound=10.0, samples=8, seed=0, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.bound = check_number(bound, "bound", above=0)
        self.samples = check_integer(samples, "samples", least=1)

    def call(self, images, model, training=False):
        posterior, prior = model.posterior(images, training=training), model.prior()
        codes = self.draw(posterior, images, self.samples)
        own = posterior.components().log_prob(ops.transpose(codes, (0, 2, 1, 3)))
        own = ops.transpose(ops.mean(own, axis=0))
        # Of every code, pi_k q_k(z) of every component: `(samples, components, batch, components)`.
        joint = posterior.detached().component_log_probs(codes)
        kl = own[1:] - _mean_log_density_before(joint, ops.stop_gradient(posterior.log_weights()))
        code, weights = codes[0], ops.stop_gradient(ops.transpose(posterior.weights()))
        if training:
            # The same codes, with a gradient along them that is 1 / weight times as large: so what
            # has its weight for the decoder and the prior has none for the component.
            fixed = ops.stop_gradient(code)
            code = fixed + (code - fixed) / weights[..., None]
        reconstruction = log_likelihood(model, images, code, training)
        terms = mixture_terms(posterior, prior, code, reconstruction)
        loss = -ops.mean(terms["elbo"])
        if training:
            log_joint = reconstruction + prior.log_prob(code)
            criteria = ops.sum(weights * log_joint - own, axis=0)
            criteria = criteria + ops.sum(ops.minimum(kl, self.bound), axis=0)
            criteria = criteria + _elbo_of_shares(
                posterior.log_weights(), ops.stop_gradient(joint[0]), ops.stop_gradient(log_joint)
            )
            # The value of the ELBO, with the gradient of the criteria.
            loss = ops.stop_gradient(loss + ops.mean(criteria)) - ops.mean(criteria)
        return {"loss": loss, **terms, "component_kl": ops.mean(kl, axis=0)}


def _log_sum(logs):
    return ops.logsumexp(logs, axis=-1)


def _mean_log_density_before(joint, log_weights):
    """log Q_{m-1} at the codes of component m, for m > 1, averaged: `(components - 1, batch)`.

    Args:
        joint: log pi_k q_k(z), `(samples, components, batch, components)`.
        log_weights: log pi_k, `(batch, components)`.
    """
    return ops.stack(
        [
            ops.mean(_log_sum(joint[:, m, :, :m]), axis=0) - _log_sum(log_weights[:, :m])
            for m in range(1, joint.shape[1])
        ]
    )


def _elbo_of_shares(log_weights, joint, log_joint):
    """sum_m ELBO(Q_m), m > 1, where only the share of component m has a gradient, `(batch,)`.

    Args:
        log_weights: log pi_k, `(batch, components)`, with a gradient.
        joint: log pi_k q_k(z_j), `(components j, batch, components k)`.
        log_joint: log p(x, z_j), `(components, batch)`.
    """
    log_density = joint - ops.stop_gradient(log_weights)
    total = 0.0
    for m in range(1, joint.shape[0]):
        before = _log_sum(log_weights[:, :m])
        log_sum = _log_sum(log_weights[:, : m + 1])
        # (1 - eps_m) times the weights of Q_{m-1}, and eps_m.
        log_before = ops.stop_gradient(log_weights[:, :m] - before[:, None])
        log_shares = ops.concatenate(
            [(before - log_sum)[:, None] + log_before, (log_weights[:, m] - log_sum)[:, None]],
            axis=-1,
        )
        log_q = _log_sum(log_shares + log_density[: m + 1, :, : m + 1])
        shares = ops.exp(ops.transpose(log_shares))
        total = total + ops.sum(shares * (log_joint[: m + 1] - log_q), axis=0)
    return total

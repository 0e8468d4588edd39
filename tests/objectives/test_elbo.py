"""The ELBO against closed forms and NumPy, with free bits, groups and warm-up."""

import keras
import numpy as np
import pytest
from keras import ops

from vlae_tf.distributions import CodeDistribution, DiagonalGaussian, FactorisedBernoulli
from vlae_tf.objectives import ELBO
from vlae_tf.posteriors import IAFPosterior
from vlae_tf.priors import FlowPrior

pytestmark = pytest.mark.jax


class Parts:
    """What an objective needs of a model: a posterior, a prior, a fair coin for every pixel."""

    def __init__(self, posterior, prior=None):
        self._posterior = posterior
        self.latent_dim = int(posterior.event_shape[-1])
        self._prior = prior or FlowPrior(self.latent_dim, steps=0).distribution()

    def posterior(self, images, training=False):
        return self._posterior

    def prior(self):
        return self._prior

    def likelihood(self, code, training=False):
        return FactorisedBernoulli(ops.zeros((code.shape[0], 2, 2, 1)))


class FixedKL(CodeDistribution):
    """A density whose terms are given, so that the KL of every image and dimension is known."""

    def __init__(self, terms):
        self.terms = terms
        self.event_shape = terms.shape[-1:]

    def from_noise(self, noise):
        return noise

    def log_prob_terms(self, code):
        return ops.broadcast_to(self.terms, code.shape)

    def log_prob(self, code):
        return ops.sum(self.log_prob_terms(code), axis=-1)


def known_kl(terms):
    terms = ops.convert_to_tensor(terms, "float32")
    return Parts(FixedKL(terms), FixedKL(ops.zeros_like(terms)))


def images_for(rows):
    return np.zeros((rows, 2, 2, 1), "float32")


def numpy_of(terms):
    return {name: ops.convert_to_numpy(value) for name, value in terms.items()}


RECONSTRUCTION = -4 * np.log(2)
# Groups of two: mean KL 1.5 and 0.35, though single images lie on both sides of most thresholds.
KL = np.array([[1.0, 0.0, 0.5, 0.5], [0.25, 1.75, -0.2, -0.1]])


def test_terms_are_those_of_the_definition():
    loc = ops.convert_to_tensor([[0.5, -1.0], [2.0, 0.0]])
    terms = numpy_of(ELBO()(images_for(2), model=Parts(DiagonalGaussian(loc, ops.ones((2, 2))))))
    np.testing.assert_allclose(terms["reconstruction"], RECONSTRUCTION, rtol=1e-6)
    np.testing.assert_allclose(terms["elbo"], terms["reconstruction"] - terms["kl"], rtol=1e-6)
    np.testing.assert_allclose(terms["loss"], -terms["elbo"].mean(), rtol=1e-6)


def test_mean_kl_of_a_gaussian_is_the_closed_form():
    loc, scale = np.array([0.5, -1.0, 0.0]), np.array([1.5, 0.5, 0.1])
    exact = 0.5 * np.sum(scale**2 + loc**2 - 1 - 2 * np.log(scale))
    rows = 20000
    ones = np.ones((rows, 1), "float32")
    posterior = DiagonalGaussian(ones * loc.astype("float32"), ones * scale.astype("float32"))
    kl = numpy_of(ELBO(seed=1)(images_for(rows), model=Parts(posterior)))["kl"]
    assert abs(kl.mean() - exact) < 4 * kl.std() / np.sqrt(rows)
    assert kl.std() > 0.1  # a sample's, not the closed form itself


@pytest.mark.parametrize("free_bits", [0.0, 0.2, 0.4, 1.0, 2.0])
@pytest.mark.parametrize("groups", [2, 4])
def test_free_bits_bound_the_batch_mean_of_each_group(free_bits, groups):
    objective = ELBO(free_bits=free_bits, groups=groups)
    terms = numpy_of(objective(images_for(2), model=known_kl(KL), training=True))
    means = KL.reshape(2, groups, -1).sum(-1).mean(0)
    expected = sum(max(free_bits, mean) if free_bits else mean for mean in means)
    np.testing.assert_allclose(terms["loss"] + RECONSTRUCTION, expected, rtol=1e-5)
    np.testing.assert_allclose(terms["kl"], KL.sum(-1), rtol=1e-5)


def test_free_bits_of_the_whole_code_are_in_one_group():
    loc = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    model = Parts(DiagonalGaussian(loc, np.full((8, 3), 0.5, "float32")))
    free, plain = (
        numpy_of(ELBO(free_bits=bits)(images_for(8), model=model, training=True))
        for bits in (50.0, 0.01)
    )
    np.testing.assert_allclose(free["loss"], 50 - RECONSTRUCTION, rtol=1e-6)
    np.testing.assert_allclose(plain["loss"], -plain["elbo"].mean(), rtol=1e-5)


def test_without_free_bits_a_negative_estimate_of_the_kl_counts():
    terms = numpy_of(ELBO(groups=2)(images_for(2), model=known_kl(-KL), training=True))
    np.testing.assert_allclose(terms["loss"], -terms["elbo"].mean(), rtol=1e-5)
    assert terms["kl"].max() < 0


def test_outside_training_the_loss_is_minus_the_elbo():
    objective = ELBO(free_bits=3.0, groups=2, warmup_steps=10)
    terms = numpy_of(objective(images_for(2), model=known_kl(KL)))
    np.testing.assert_allclose(terms["loss"], -terms["elbo"].mean(), rtol=1e-5)
    assert int(objective.step) == 0


def test_warm_up_raises_the_weight_of_the_kl_step_by_step():
    objective = ELBO(groups=2, warmup_steps=4)
    losses = [
        numpy_of(objective(images_for(2), model=known_kl(KL), training=True))["loss"]
        for _ in range(6)
    ]
    weights = (np.array(losses) + RECONSTRUCTION) / KL.sum(-1).mean()
    np.testing.assert_allclose(weights, [0.25, 0.5, 0.75, 1, 1, 1], rtol=1e-5)


def test_warm_up_goes_on_where_its_saved_step_was():
    first, second = ELBO(warmup_steps=4), ELBO(warmup_steps=4)
    first.step.assign(3)
    second.set_weights(first.get_weights())
    assert float(second.kl_weight()) == 0.75


@pytest.mark.parametrize("groups", [2, 3, 6])
@pytest.mark.parametrize("mean_only", [True, False])
def test_groups_of_a_flow_prior_sum_to_the_same_kl(groups, mean_only):
    rng = np.random.default_rng(1)
    prior = FlowPrior(6, steps=3, hidden_units=[16], mean_only=mean_only)
    for weight in prior.trainable_variables:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    loc, scale = rng.normal(size=(2, 5, 6)).astype("float32")
    model = Parts(DiagonalGaussian(loc, np.exp(scale)), prior.distribution())
    whole, grouped = (
        numpy_of(ELBO(groups=n, seed=3)(images_for(5), model=model)) for n in (1, groups)
    )
    np.testing.assert_allclose(grouped["kl"], whole["kl"], rtol=1e-4, atol=1e-4)


def test_groups_of_an_iaf_posterior_are_refused():
    family = IAFPosterior(4, steps=1, hidden_units=[8], context_size=2)
    posterior = family.distribution(family(np.ones((2, 3), "float32")))
    with pytest.raises(ValueError, match="`groups` above 1 .* InverseAutoregressiveFlow, which"):
        ELBO(groups=2).check(posterior, known_kl(KL).prior())


def test_groups_that_do_not_divide_the_code_are_refused():
    parts = known_kl(KL)
    with pytest.raises(ValueError, match="`groups` must be a divisor of the 4 .* groups=3"):
        ELBO(groups=3).check(parts.posterior(None), parts.prior())


@pytest.mark.parametrize(
    "wrong",
    [{"free_bits": -1}, {"free_bits": float("nan")}, {"free_bits": "1"}, {"groups": 0}]
    + [{"groups": 1.5}, {"warmup_steps": -1}, {"warmup_steps": True}],
    ids=str,
)
def test_invalid_settings_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}={value!r}"):
        ELBO(**wrong)


def test_successive_calls_draw_other_codes_and_equal_seeds_the_same():
    loc = np.zeros((3, 2), "float32")
    model = Parts(DiagonalGaussian(loc, loc + 0.5))

    def draws(seed):
        objective = ELBO(seed=seed)
        return [numpy_of(objective(images_for(3), model=model))["kl"] for _ in range(2)]

    first, second = draws(0)
    assert not np.isin(first, second).any()
    np.testing.assert_array_equal(draws(0), [first, second])
    assert not np.isin(first, draws(1)[0]).any()


def test_config_holds_every_argument():
    objective = ELBO(free_bits=2.0, groups=4, warmup_steps=10, seed=5)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(objective))
    for name in ("free_bits", "groups", "warmup_steps", "seed"):
        assert getattr(copy, name) == getattr(objective, name) == objective.get_config()[name]

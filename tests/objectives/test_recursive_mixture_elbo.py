"""Recursive inference: one loss against separate updates, and the ELBO of the whole mixture."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.gradients import randomise, weight_gradients
from tests.systems import fully_connected
from tests.tiny import numpy_of, random_images, tiny_model
from vlae_tf.distributions import GaussianMixture
from vlae_tf.objectives import MixtureELBO, RecursiveMixtureELBO
from vlae_tf.objectives.bounds import log_likelihood
from vlae_tf.posteriors import GaussianPosterior, MixturePosterior
from vlae_tf.priors import FlowPrior

pytestmark = pytest.mark.jax
SHAPE, SIZE, ROWS, SAMPLES = (2, 3, 1), 2, 5, 3
IMAGES = random_images(ROWS, SHAPE).astype("float32")


def mixture_model(components, objective, **parts):
    parts = {"posterior_family": MixturePosterior(SIZE, components)} | parts
    parts = fully_connected(objective=objective, **parts)
    return randomise(tiny_model(SHAPE, SIZE, **parts), 0.5)


def codes_of(q, samples=1):
    """Codes of each component at the objective's first noise, `(samples, components, batch, d)`."""
    components = q.components().batch_shape[-1]
    noise = keras.random.normal(
        (samples, ROWS, components, SIZE), seed=keras.random.SeedGenerator(0)
    )
    return ops.transpose(q.components().from_noise(noise), (0, 2, 1, 3))


def first_of(q, count):
    """The first components with their weights, as a mixture of their own."""
    return GaussianMixture(q._logits[:, :count], q._loc[:, :count], q._scale[:, :count])


def elbo_of(model, q, codes, log_joint):
    """ELBO of a mixture from one code of each component, `(batch,)`."""
    weights = ops.transpose(q.weights())
    return ops.sum(weights * (log_joint - q.log_prob(codes)), axis=0)


def log_joint_of(model, codes):
    return log_likelihood(model, IMAGES, codes) + model.prior().log_prob(codes)


def separate_updates(model, components, bound):
    """For each weight the gradient of its own criteria, all else held constant."""

    def of_component(m):
        q = model.posterior(IMAGES)
        own = first_of(q, m + 1).components()
        codes = codes_of(q, SAMPLES)[:, m]
        log_q = own.log_prob(
            ops.broadcast_to(codes[:, :, None], (SAMPLES, ROWS, m + 1, SIZE))
        )[..., m]  # fmt: skip
        log_q = ops.mean(log_q, axis=0)
        criterion = log_joint_of(model, codes[:1])[0] - log_q
        if m:
            before = first_of(q, m).detached().log_prob(codes)
            criterion = criterion + ops.minimum(log_q - ops.mean(before, axis=0), bound)
        return -ops.mean(criterion)

    def of_share(m):
        q = model.posterior(IMAGES)
        codes = ops.stop_gradient(codes_of(q)[0, : m + 1])
        # The share of component m alone: what is before it keeps its relative weights.
        logits = q._logits[:, : m + 1]
        total = ops.logsumexp(logits, axis=-1, keepdims=True)
        rest = ops.logsumexp(logits[:, :m], axis=-1, keepdims=True)
        before = ops.stop_gradient(logits[:, :m] - rest)
        logits = ops.concatenate([rest - total + before, logits[:, m:] - total], axis=-1)
        mixture = GaussianMixture(
            logits, *(ops.stop_gradient(t[:, : m + 1]) for t in (q._loc, q._scale))
        )
        log_joint = ops.stop_gradient(log_joint_of(model, codes))
        return -ops.mean(elbo_of(model, mixture, codes, log_joint))

    def of_decoder():
        q = model.posterior(IMAGES).detached()
        codes = codes_of(q)[0]
        return -ops.mean(elbo_of(model, q, codes, log_joint_of(model, codes)))

    inference = [lambda m=m: of_component(m) for m in range(components)]
    inference += [lambda m=m: of_share(m) for m in range(1, components)]
    inference = [weight_gradients(model, loss) for loss in inference]
    generation = weight_gradients(model, of_decoder)
    paths = {w.path for part in (model.encoder, model.posterior_family) for w in part.weights}
    return {
        path: sum(found[path] for found in inference) if path in paths else generation[path]
        for path in generation
    }


@pytest.mark.parametrize("components", [2, 3])
@pytest.mark.parametrize("bounded", [False, True])
def test_one_loss_has_the_gradient_of_separate_updates(components, bounded):
    prior = FlowPrior(SIZE, steps=1, hidden_units=[4])
    model = mixture_model(components, RecursiveMixtureELBO(1e3, SAMPLES), prior_family=prior)
    kl = numpy_of(model.objective(IMAGES, model=model)["component_kl"])
    if bounded:
        # For some images, and not for others.
        model.objective.bound = float(np.median(kl)) + 1e-3
    expected = separate_updates(model, components, model.objective.bound)

    def loss():
        return model.objective(IMAGES, model=model, training=True)["loss"]

    model.objective.seed_generator.state.assign(keras.random.SeedGenerator(0).state)
    found = weight_gradients(model, loss)
    assert set(found) == set(expected)
    for path, values in found.items():
        assert np.any(values), path
        np.testing.assert_allclose(values, expected[path], rtol=1e-4, atol=2e-6, err_msg=path)


@pytest.mark.parametrize("objective", [MixtureELBO, RecursiveMixtureELBO])
def test_elbo_is_that_of_the_whole_mixture(objective):
    model = mixture_model(3, objective())
    terms = {}
    for training in (False, True):
        model.objective.seed_generator.state.assign(keras.random.SeedGenerator(0).state)
        terms[training] = model.objective(IMAGES, model=model, training=training)
    q, samples = model.posterior(IMAGES), getattr(model.objective, "samples", 1)
    codes = codes_of(q, samples)[0]
    expected = numpy_of(elbo_of(model, q, codes, log_joint_of(model, codes)))
    for found in terms.values():
        np.testing.assert_allclose(numpy_of(found["elbo"]), expected, rtol=1e-5)
        assert float(found["loss"]) == pytest.approx(-expected.mean(), rel=1e-5)
        weights = numpy_of(q.weights())
        entropy = -(weights * np.log(weights)).sum(-1)
        np.testing.assert_allclose(numpy_of(found["weight_entropy"]), entropy, rtol=1e-5)


def test_one_code_of_each_component_is_as_good_as_drawing_the_component():
    """The sum over components and the mean over codes of the mixture agree."""
    model = mixture_model(2, MixtureELBO())
    images = np.repeat(IMAGES[:1], 4000, axis=0)
    stratified = numpy_of(model.objective(images, model=model)["elbo"]).astype("float64")
    from vlae_tf.objectives import log_weights

    noise = np.random.default_rng(0).normal(size=(4000, 1, SIZE)).astype("float32")
    drawn = numpy_of(log_weights(model, IMAGES[:1], noise).log_w)[:, 0].astype("float64")
    error = np.hypot(*(values.std() / 4000**0.5 for values in (stratified, drawn)))
    assert abs(stratified.mean() - drawn.mean()) < 4 * error
    assert stratified.std() < drawn.std()


@pytest.mark.parametrize("components", [2, 4])
def test_components_start_apart_with_equal_weights(components):
    family = MixturePosterior(SIZE, components)
    features = np.random.default_rng(0).normal(size=(ROWS, 8)).astype("float32")
    q = family.distribution(family(features))
    np.testing.assert_allclose(numpy_of(q.weights()), 1 / components, rtol=1e-5)
    loc = numpy_of(q.components().center())
    assert all(np.abs(loc[:, 0] - loc[:, m]).min() > 1e-3 for m in range(1, components))


def test_no_component_is_lost_however_sure_the_posterior_is():
    family = MixturePosterior(SIZE, 3, least_share=0.02)
    family.build((None, 4))
    randomise(family)
    features = 1e4 * np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
    log_weights = numpy_of(family(features)["logits"]).astype("float64")
    np.testing.assert_allclose(np.exp(log_weights).sum(-1), 1, rtol=1e-5)
    before = np.exp(log_weights).cumsum(-1)
    shares = np.exp(log_weights)[:, 1:] / before[:, 1:]
    assert shares.min() > 0.0199 and shares.max() < 0.9801 and shares.max() > 0.97


def test_kl_of_a_component_from_the_mixture_is_at_most_minus_log_its_share():
    model = mixture_model(3, MixtureELBO())
    q = model.posterior(IMAGES)
    log_q = numpy_of(q.log_prob(codes_of(q, 200)))
    own = numpy_of(q.components().log_prob(ops.transpose(codes_of(q, 200), (0, 2, 1, 3))))
    kl = own.transpose(0, 2, 1) - log_q
    assert (kl <= -np.log(numpy_of(q.weights())).T + 1e-4).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MixturePosterior(2, 1), "`components` must be an integer, at least 2. Received:"),
        (
            lambda: MixturePosterior(2, 4, least_share=0.25),
            "`least_share` must be a finite number, greater than 0 and less than 0.25. Received:",
        ),
        (lambda: RecursiveMixtureELBO(0.0), "`bound` must be a finite number, greater than 0. Rec"),
        (lambda: RecursiveMixtureELBO(-1), "`bound` must be a finite number, greater than 0. Rec"),
        (lambda: RecursiveMixtureELBO(1.0, samples=0), "`samples` must be an integer, at least 1"),
    ],
)
def test_invalid_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("objective", [MixtureELBO, RecursiveMixtureELBO])
def test_other_posteriors_are_refused(objective):
    with pytest.raises(ValueError, match=f"`{objective.__name__}` needs .* Received: Diagonal"):
        mixture_model(2, objective(), posterior_family=GaussianPosterior(SIZE))

import keras
import numpy as np
import pytest
from keras import ops

from tests.integrable import ALL_IMAGES, IMAGES, SHAPE, integrable_control, integrable_model
from vlae_tf.models import (
    PartialResults,
    importance,
    importance_weighted_log_prob,
    importance_weighted_terms,
)
from vlae_tf.objectives import log_weights
from vlae_tf.seeds import row_seeds

pytestmark = pytest.mark.jax


@pytest.fixture(scope="module", params=["gaussian", "iaf"])
def model(request):
    """With a code of one dimension, so that the likelihood can be integrated on a grid."""
    return integrable_model(1, request.param)


@pytest.fixture(scope="module")
def wide_model():
    """To be left as it is."""
    return integrable_model(3)


@pytest.fixture(scope="module")
def exact(model):
    """log p(x) = log of the integral of p(z) p(x | z), by the trapezoidal rule over a grid."""
    grid = np.linspace(-12, 12, 601, dtype="float32")[:, None]
    log_prior = ops.convert_to_numpy(model.prior().log_prob(grid)).astype("float64")
    likelihood, x = model.likelihood(grid), ALL_IMAGES.astype("float32")
    log_prob = np.array(
        [
            ops.convert_to_numpy(likelihood.log_prob(np.broadcast_to(image, (601, *SHAPE))))
            for image in x
        ],
        "float64",
    )
    return np.log(np.trapezoid(np.exp(log_prob + log_prior), grid[:, 0], axis=1))


def test_exact_likelihood_is_one(exact):
    # The oracle itself, and that prior and likelihood are distributions.
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-4)


def host_noise(seed, n, samples, latent_dim=1):
    """What each image's samples are drawn from."""
    return np.stack(
        [
            np.random.default_rng(row_seed).standard_normal((samples, latent_dim), "float32")
            for row_seed in row_seeds(seed, n)
        ]
    )


def test_estimate_agrees_with_the_exact_likelihood(model, exact):
    noise = host_noise(0, len(ALL_IMAGES), 2000).transpose(1, 0, 2)
    log_w = log_weights(model, ALL_IMAGES.astype("float32"), noise).log_w
    weights = np.exp(ops.convert_to_numpy(log_w).T - exact[:, None])
    standard_error = weights.std(axis=1, ddof=1) / np.sqrt(2000)
    assert standard_error.max() < 0.05
    estimate = importance_weighted_log_prob(model, ALL_IMAGES, 2000, batch_size=16_000)
    # The exponential of the estimate is unbiased for any K.
    errors = (np.exp(estimate - exact) - 1) / standard_error
    assert np.sqrt(np.mean(errors**2)) < 1.5


def test_bound_rises_with_k_towards_the_likelihood(model, exact):
    exact = exact.mean()
    repeated = np.concatenate([ALL_IMAGES] * 8)  # each copy has noise of its own
    bounds = [
        importance_weighted_log_prob(model, repeated, k, batch_size=8192).mean() for k in (1, 4, 64)
    ]
    assert bounds[0] < bounds[1] < bounds[2]
    # 64 samples for each of 512 images leave an error of about 0.01, besides the bound's own gap.
    assert abs(bounds[2] - exact) < 0.04 < exact - bounds[1]


@pytest.mark.parametrize("samples", [1, 5])
def test_terms_are_those_of_the_definition(model, samples):
    noise = host_noise(7, len(IMAGES), samples)
    x = IMAGES.astype("float32")
    posterior, prior = model.posterior(x), model.prior()
    log_w, kl = [], []
    for k in range(samples):
        code = posterior.from_noise(noise[:, k])
        kl.append(ops.convert_to_numpy(posterior.log_prob(code) - prior.log_prob(code)))
        log_w.append(ops.convert_to_numpy(model.likelihood(code).log_prob(x)) - kl[-1])
    terms = importance_weighted_terms(model, IMAGES, samples, seed=7)
    np.testing.assert_allclose(terms["elbo"], np.mean(log_w, axis=0), atol=1e-4)
    np.testing.assert_allclose(terms["kl"], np.mean(kl, axis=0), atol=1e-4)
    np.testing.assert_allclose(terms["log_prob"], np.log(np.mean(np.exp(log_w), axis=0)), atol=1e-4)
    weights = np.exp(log_w)
    counting = weights.sum(axis=0) ** 2 / (weights**2).sum(axis=0)
    np.testing.assert_allclose(terms["effective_samples"], counting, rtol=1e-3)
    assert (1 - 1e-9 <= counting).all() and (counting <= samples + 1e-9).all()
    if samples == 1:
        np.testing.assert_array_equal(terms["log_prob"], terms["elbo"])


@pytest.mark.parametrize("batch_size", [1, 3, 8, 1000])
def test_how_pairs_are_split_into_steps_does_not_matter(model, batch_size):
    expected = importance_weighted_terms(model, IMAGES, 10)
    terms = importance_weighted_terms(model, IMAGES, 10, batch_size=batch_size)
    for name, values in expected.items():
        np.testing.assert_allclose(terms[name], values, atol=1e-5)


def test_row_does_not_depend_on_its_neighbours(model):
    everything = importance_weighted_log_prob(model, IMAGES, 4)
    np.testing.assert_allclose(
        importance_weighted_log_prob(model, IMAGES[:2], 4), everything[:2], atol=1e-5
    )
    rows = [5, 1]
    seeds = row_seeds(0, len(IMAGES))[rows]
    np.testing.assert_allclose(
        importance_weighted_log_prob(model, IMAGES[rows], 4, seed=seeds),
        everything[rows],
        atol=1e-5,
    )
    assert np.abs(importance_weighted_log_prob(model, IMAGES, 4, seed=1) - everything).min() > 1e-4


def test_more_samples_begin_with_the_fewer_ones(model, monkeypatch):
    drawn = []
    importance_weighted_log_prob(model, IMAGES, 3)
    run = model._compiled_functions["log_weights"]

    def spy(images, noise):
        drawn.append(noise)
        return run(images, noise)

    monkeypatch.setitem(model._compiled_functions, "log_weights", spy)
    for samples in (3, 8):
        importance_weighted_log_prob(model, IMAGES, samples)
    np.testing.assert_array_equal(drawn[0], drawn[1][:, :3])
    # No two samples, and no two images, share their noise.
    assert len(np.unique(drawn[1])) == drawn[1].size


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="counts traces of a tf.function"
)
def test_a_whole_evaluation_is_traced_once():
    model = integrable_model(3)
    importance_weighted_log_prob(model, IMAGES, 5, batch_size=3)  # 7 images x 2 chunks
    importance_weighted_log_prob(model, IMAGES, 5, batch_size=3, seed=1)
    assert model._compiled_functions["log_weights"].experimental_get_tracing_count() == 1


def test_without_a_code_one_sample_is_exact():
    control = integrable_control()
    log_prob = importance_weighted_log_prob(control, ALL_IMAGES, 1)
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(
        importance_weighted_log_prob(control, ALL_IMAGES, 3, seed=4), log_prob, atol=1e-5
    )


def test_progress_counts_pairs_up_to_all(model):
    seen = []
    importance_weighted_log_prob(
        model, IMAGES, 5, batch_size=3, progress=lambda done, total: seen.append((done, total))
    )
    counts = [done for done, _ in seen]
    assert counts == sorted(set(counts))
    assert seen[-1] == (35, 35)


@pytest.mark.parametrize("name", ["importance_samples", "batch_size"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_refuses_less_than_one(model, name, value):
    arguments = {"importance_samples": 2, name: value}
    with pytest.raises(
        ValueError, match=f"`{name}` must be an integer, at least 1.*{name}={value}"
    ):
        importance_weighted_log_prob(model, IMAGES, **arguments)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (np.zeros((2, 3, 3, 1)), "must have shape"),
        (np.full((1, 2, 3, 1), 255), "must be binary"),
        (np.zeros((0, 2, 3, 1)), "at least one image"),
    ],
)
def test_refuses_images_the_model_does_not_take(model, wrong, words):
    with pytest.raises(ValueError, match=words):
        importance_weighted_log_prob(model, wrong, 2)


class Killed(Exception):
    pass


def kill_after(steps):
    calls = iter(range(steps))

    def progress(done, total):
        if next(calls, None) is None:
            raise Killed

    return progress


def test_killed_run_goes_on_to_the_same_result(model, tmp_path, monkeypatch):
    monkeypatch.setattr(importance, "SAVE_EVERY", 2)
    expected = importance_weighted_terms(model, IMAGES, 4, batch_size=4)
    path = tmp_path / "partial.npy"
    with pytest.raises(Killed):
        importance_weighted_terms(
            model, IMAGES, 4, batch_size=4, progress=kill_after(5), partial=PartialResults(path)
        )
    seen = []
    terms = importance_weighted_terms(
        model,
        IMAGES,
        4,
        batch_size=4,
        progress=lambda done, total: seen.append(done),
        partial=PartialResults(path),
    )
    for name, values in expected.items():
        np.testing.assert_array_equal(terms[name], values)
    assert seen == [20, 24, 28]  # the four images that were saved are not evaluated again


@pytest.mark.parametrize("change", ["weights", "images", "seed", "importance_samples"])
def test_partial_results_of_something_else_are_not_used(wide_model, tmp_path, change):
    arguments = {"images": IMAGES, "importance_samples": 4, "seed": 0}
    partial = {"partial": PartialResults(tmp_path / "p.npy")}
    importance_weighted_terms(wide_model, **arguments, **partial)
    weights = wide_model.get_weights()
    try:
        if change == "weights":
            wide_model.set_weights([1.1 * w for w in weights])
        else:
            other = {"images": IMAGES[::-1], "seed": 1, "importance_samples": 5}
            arguments[change] = other[change]
        partial = {"partial": PartialResults(tmp_path / "p.npy")}
        terms = importance_weighted_terms(wide_model, **arguments, **partial)
        expected = importance_weighted_terms(wide_model, **arguments)
    finally:
        wide_model.set_weights(weights)
    np.testing.assert_array_equal(terms["log_prob"], expected["log_prob"])

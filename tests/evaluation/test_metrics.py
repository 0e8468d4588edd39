import numpy as np
import pytest

from vlae_tf.evaluation import active_units, evaluate
from vlae_tf.models import PartialResults, importance_weighted_log_prob, importance_weighted_terms

pytestmark = pytest.mark.jax


def test_figures_are_means_of_the_terms(wide_model, images):
    metrics = evaluate(wide_model, images, importance_samples=6, seed=3)
    terms = importance_weighted_terms(wide_model, images, 6, seed=3)
    nll = -terms["log_prob"]
    assert metrics["nll"] == pytest.approx(nll.mean())
    # The standard error by leaving out one image at a time, which for a mean is the usual one.
    jackknife = np.array([np.delete(nll, i).mean() for i in range(7)])
    error = np.sqrt(6 / 7 * np.sum((jackknife - jackknife.mean()) ** 2))
    assert metrics["nll_standard_error"] == pytest.approx(error)
    assert metrics["elbo"] == pytest.approx(terms["elbo"].mean())
    assert metrics["elbo"] == pytest.approx(metrics["reconstruction"] - metrics["kl"])
    assert metrics["kl"] == pytest.approx(terms["kl"].mean())
    assert 2 ** metrics["code_bits"] == pytest.approx(np.exp(metrics["kl"]))
    assert 2 ** (6 * metrics["bits_per_dim"]) == pytest.approx(np.exp(metrics["nll"]))
    assert (metrics["importance_samples"], metrics["num_images"]) == (6, 7)
    assert metrics["dtype"] == "float32"


def test_one_image_has_no_standard_error(wide_model, images):
    metrics = evaluate(wide_model, images[:1], importance_samples=2)
    assert metrics["num_images"] == 1
    assert metrics["nll_standard_error"] is None


def test_without_a_code_one_sample_is_drawn(control, all_images):
    metrics = evaluate(control, all_images, importance_samples=100)
    assert metrics["importance_samples"] == 1
    assert metrics["code_bits"] == metrics["active_units"] == 0
    assert metrics["nll"] == pytest.approx(-metrics["elbo"])


def test_gain_over_the_control_is_paired(wide_model, control, images):
    seen = []
    metrics = evaluate(
        wide_model,
        images,
        importance_samples=3,
        control=control,
        progress=lambda done, total: seen.append((done, total)),
    )
    beside = metrics["control"]
    with_code = importance_weighted_log_prob(wide_model, images, 3)
    without = importance_weighted_log_prob(control, images, 1)
    gains = with_code - without
    assert beside["nll"] == pytest.approx(-without.mean())
    assert beside["gain"] == pytest.approx(beside["nll"] - metrics["nll"])
    assert beside["importance_samples"] == 3
    assert beside["gain_standard_error"] == pytest.approx(gains.std(ddof=1) / np.sqrt(7))
    # Both passes in one count.
    assert seen[0][1] == 7 * 4 and seen[-1] == (28, 28)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_control_must_have_no_code(wide_model, images):
    with pytest.raises(ValueError, match="`control` must be a model without.*code of 3 numbers"):
        evaluate(wide_model, images, control=wide_model)


def test_active_units_are_those_whose_mean_moves(build_model, all_images):
    model = build_model(3)
    assert active_units(model, all_images).all()
    kernel = model.posterior_family._dense.kernel
    frozen = np.array(kernel)
    frozen[:, 1] = 0  # the mean of the second dimension no longer depends on the image
    model.posterior_family._dense._kernel.assign(frozen)
    np.testing.assert_array_equal(active_units(model, all_images), [True, False, True])
    metrics = evaluate(model, all_images, importance_samples=1)
    assert metrics["active_units"] == metrics["active_units_by_threshold"]["0.01"] == 2
    counts = [metrics["active_units_by_threshold"][key] for key in ("0.001", "0.01", "0.1")]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("steps", [3, 9], ids=["first pass", "second pass"])
def test_killed_evaluation_goes_on_to_the_same_figures(
    wide_model, control, images, tmp_path, monkeypatch, steps
):
    monkeypatch.setattr("vlae_tf.models.importance.SAVE_EVERY", 1)
    arguments = {"importance_samples": 2, "control": control, "batch_size": 2}
    expected = evaluate(wide_model, images, **arguments)
    path = tmp_path / "partial.npy"
    killed = iter(range(steps))

    def progress(done, total):
        if next(killed, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(wide_model, images, **arguments, progress=progress, partial=PartialResults(path))
    assert [*tmp_path.glob("partial-*.npy")]
    again = []
    metrics = evaluate(
        wide_model,
        images,
        **arguments,
        progress=lambda done, total: again.append(done),
        partial=PartialResults(path),
    )
    np.testing.assert_equal(metrics, expected)
    assert len(again) == 7 + 4 - steps  # one image a step with the code, two without

"""Rungs probed alone, their table and their pictures: on a ladder whose rungs are known."""

import json

import keras
import numpy as np
import pytest

from tests.tiny import tiny_model, untrained_run
from vlae_tf.evaluation import (
    plot_clusters,
    plot_manifolds,
    probe,
    probe_rungs,
    renew_rung_table,
    rung_plots,
    rung_table,
    rungs,
)
from vlae_tf.files import sha256
from vlae_tf.likelihoods import BernoulliLikelihood
from vlae_tf.networks import LadderDecoder, LadderEncoder
from vlae_tf.posteriors import LadderPosterior
from vlae_tf.priors import FlowPrior, GaussianMixturePrior
from vlae_tf.runs import Recipe

SHAPE, RUNGS = (8, 8, 1), [2, 2]


@pytest.fixture(scope="module")
def model():
    """To be left as it is. Each component of the rung at the top is far from the others."""
    keras.utils.set_random_seed(0)
    prior = GaussianMixturePrior(4, [2, 3], RUNGS)
    prior.initialize_from_data(np.repeat([[0.0, 0, 0, 0], [5, 5, 9, 9], [5, 5, -9, 9]], 2, axis=0))
    return tiny_model(
        SHAPE,
        4,
        encoder=LadderEncoder([[4], [3]]),
        decoder=LadderDecoder(SHAPE, RUNGS, [[4], [3]]),
        posterior_family=LadderPosterior(4, RUNGS, [4, 3]),
        prior_family=prior,
        likelihood_family=BernoulliLikelihood(SHAPE, projection=False),
    )


def recipe(seed=0, prior="GaussianMixturePrior"):
    of_prior = {"components": 3, "rungs": RUNGS} if "Mixture" in prior else {"steps": 0}
    units = [[4], [3]]
    parts = {
        "encoder": ("LadderEncoder", {"units": units}),
        "decoder": ("LadderDecoder", {"rungs": RUNGS, "units": units}),
        "posterior_family": ("LadderPosterior", {"rungs": RUNGS, "feature_sizes": [4, 3]}),
        "prior_family": (prior, of_prior),
        "likelihood_family": ("BernoulliLikelihood", {"projection": False}),
    }
    made = {name: {"class_name": kind, "config": config} for name, (kind, config) in parts.items()}
    return Recipe("digits.npz", {"latent_dim": 4, **made}, epochs=1, seed=seed)


@pytest.fixture
def ladder_run(tmp_path, monkeypatch):
    """Makes the folder of an untrained ladder, whose images are digits of two classes."""
    rng = np.random.default_rng(0)
    labels = {"train": np.arange(60) % 2, "test": np.arange(40) % 2}
    images = {split: rng.integers(0, 2, (len(y), *SHAPE), "uint8") for split, y in labels.items()}
    for split, y in labels.items():
        images[split][:, :, 4:] &= y[:, None, None, None].astype("uint8")
    monkeypatch.setattr(probe, "load_labels", lambda name, split, _: labels[split])
    monkeypatch.setattr(probe, "split_images", lambda recipe, split, *_: images[split])

    def make(name, **options):
        return untrained_run(tmp_path / name, recipe(**options), SHAPE)

    return make


@pytest.mark.usefixtures("eager")
def test_each_rung_of_a_run_is_measured_alone(ladder_run):
    run = ladder_run("run")
    result = probe_rungs(run, num_images=50, neighbours=3, clusters=4)
    assert json.loads((run / "rungs.json").read_text()) == result
    assert result["weights_sha256"] == sha256(run / "model.weights.h5")
    assert (result["train_images"], result["test_images"]) == (50, 40)
    assert [rung["size"] for rung in result["rungs"]] == RUNGS
    for rung in result["rungs"]:
        assert 0 <= rung["class_accuracy"] <= 1 and 1 <= rung["clusters"]["used"] <= 3
        for measure in ("slant", "stroke_width"):
            assert all(-1 <= rung[measure][kind] <= 1 for kind in ("linear", "neighbours"))
        for kind in ("clusters", "k_means"):
            # Of two classes, half are right under any majority.
            assert 0.5 <= rung[kind]["majority"]["accuracy"] <= 1


def test_what_a_rung_holds_is_found_in_it_and_nowhere_else(ladder_run, monkeypatch):
    """Codes made by hand: the class on the top rung, the slant on the one at the bottom."""
    rng = np.random.default_rng(1)

    class ByHand:
        latent_dim = 4

        class posterior_family:
            rungs = RUNGS

        def cluster_log_probs(self, code):
            return []

        def encode(self, images):
            found = rng.normal(size=(len(images), 4))
            found[:, 0] = 100 * np.mean(images, axis=(1, 2, 3))
            found[:, 2:] += 20 * (images[:, :, 4:].max(axis=(1, 2, 3)) > 0)[:, None]
            return found.astype("float32")

    monkeypatch.setattr("vlae_tf.evaluation.rungs.load_hashed_run", lambda *_: (ByHand(), "no"))
    monkeypatch.setattr(
        "vlae_tf.evaluation.rungs._MEASURES",
        {"slant": lambda x: x.mean(axis=(1, 2, 3)), "stroke_width": lambda x: rng.random(len(x))},
    )
    bottom, top = probe_rungs(ladder_run("run"), neighbours=5, num_images=60)["rungs"]
    assert top["class_accuracy"] == 1.0 and top["k_means"]["majority"]["accuracy"] == 1.0
    assert bottom["slant"]["linear"] > 0.9 and bottom["slant"]["neighbours"] > 0.8
    assert abs(bottom["stroke_width"]["linear"]) < 0.5
    assert "clusters" not in top


def test_table_joins_the_seeds_of_a_recipe(ladder_run, tmp_path):
    runs = [ladder_run(f"mixture_{seed}", seed=seed) for seed in (0, 1)]
    runs.append(ladder_run("normal", prior="FlowPrior"))
    for run, accuracy in zip(runs, (0.9, 0.8, 0.5), strict=True):
        found = [
            {
                "size": 2,
                "class_accuracy": accuracy,
                "slant": {"linear": 0.5, "neighbours": 0.6},
                "stroke_width": {"linear": 0.1, "neighbours": 0.2},
                "k_means": {m: {"accuracy": 0.5, "chance": 0.2} for m in ("majority", "hungarian")},
            }
            for _ in RUNGS
        ]
        if run.name != "normal":
            found[1]["clusters"] = {"used": 3} | found[0]["k_means"]
        told = {"test_images": 40, "train_images": 50, "neighbours": 3, "k_means_clusters": 4}
        told |= {"weights_sha256": sha256(run / "model.weights.h5"), "rungs": found}
        (run / "rungs.json").write_text(json.dumps(told))
    lines = rung_table(runs).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:6]]
    assert rows[0][:5] == ["`mixture_0`", "2", "2 of 2", "2", "85.0 ± 7.1"]
    assert (
        rows[0][5:9]
        == ["0.50 ± 0.00 / 0.60 ± 0.00", "0.10 ± 0.00 / 0.20 ± 0.00"] + ["50.0 ± 0.0"] * 2
    )
    assert rows[1][7:9] == ["-", "-"]
    assert rows[2][:5] == ["`normal`", "1", "2 of 2", "2", "50.0"]
    assert "at most 20.0% (majority)" in lines[-1]
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n{rungs._BEGIN}\nold\n{rungs._END}\nAfter.\n")
    renew_rung_table(page, runs)
    assert page.read_text().splitlines()[2:-2] == lines and "After." in page.read_text()
    page.write_text("no marks")
    with pytest.raises(ValueError, match="`page` must have the marks.*Received: page="):
        renew_rung_table(page, runs)
    (runs[0] / "rungs.json").unlink()
    with pytest.raises(ValueError, match="`vlae-tf rungs`.*Received: .*mixture_0"):
        rung_table(runs)
    with pytest.raises(ValueError, match="`folders` must name one run"):
        rung_table([])


@pytest.mark.parametrize("option", ["num_images", "neighbours", "clusters"])
def test_sizes_that_cannot_be_are_refused(option, tmp_path):
    with pytest.raises(ValueError, match=f"`{option}` must be .*Received: {option}=0"):
        probe_rungs(tmp_path, **{option: 0})


# === Pictures ===


@pytest.fixture
def shown(monkeypatch):
    """What would be drawn, by label."""
    rows = {}
    monkeypatch.setattr(rung_plots, "plot_rows", lambda found, path: rows.update(found))
    return rows


def test_a_manifold_changes_its_rung_alone(model, shown, monkeypatch):
    codes = []
    monkeypatch.setattr(
        rung_plots, "_images", lambda m, code, seed: codes.append(code) or np.zeros((9, *SHAPE))
    )
    plot_manifolds(model, "manifolds.png", side=3)
    assert list(shown) == ["rung 2 of 2", "rung 1 of 2"]
    top, bottom = codes
    center = np.asarray(model.prior().center())
    np.testing.assert_array_equal(top[:, :2], np.tile(center[:2], (9, 1)))
    np.testing.assert_array_equal(bottom[:, 2:], np.tile(center[2:], (9, 1)))
    grid = top[:, 2:].reshape(3, 3, 2)
    np.testing.assert_allclose(grid[1, :, 0], [-1.96, 0, 1.96], atol=0.01)
    np.testing.assert_allclose(grid[:, 1, 1], [-1.96, 0, 1.96], atol=0.01)


def test_each_row_is_drawn_from_its_cluster(model, shown, monkeypatch):
    codes = []

    def images(m, code, seed):
        codes.append(code)
        return np.zeros((len(code), *SHAPE))

    monkeypatch.setattr(rung_plots, "_images", images)
    plot_clusters(model, "clusters.png", draws=20)
    assert len(shown) == 3 and all(len(row) == 20 for row in shown.values())
    code = codes[0].reshape(20, 3, 4)
    for cluster in range(3):
        log_probs = model.prior_family.cluster_log_probs(code[:, cluster])
        assert (np.asarray(log_probs[1]).argmax(axis=-1) == cluster).all()
        assert len(np.unique(code[:, cluster, :2].round(3), axis=0)) > 10


def test_pictures_are_written(model, tmp_path):
    plot_manifolds(model, tmp_path / "manifolds.png", side=2)
    plot_clusters(model, tmp_path / "clusters.png", rung=0, draws=2)
    for name in ("manifolds", "clusters"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_models_without_such_rungs_are_refused(model, tmp_path):
    normal = tiny_model(SHAPE, 3, prior_family=FlowPrior(3, steps=0))
    with pytest.raises(ValueError, match="`model` must be .* two numbers each. Received: .*3"):
        plot_manifolds(normal, tmp_path / "manifolds.png")
    with pytest.raises(ValueError, match="`model` must be .* GaussianMixturePrior. Received"):
        plot_clusters(normal, tmp_path / "clusters.png")
    with pytest.raises(ValueError, match="`rung` must be .* less than 2. Received: rung=2"):
        plot_clusters(model, tmp_path / "clusters.png", rung=2)

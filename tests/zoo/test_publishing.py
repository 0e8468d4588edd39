"""From a run to an entry: what is published was evaluated, and an entry is replaced whole."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from tests.tiny import tiny_recipe, write_images
from vlae_tf.evaluation import evaluate_run, probe, probe_rungs
from vlae_tf.files import load_weights, sha256
from vlae_tf.layers import KernelLayer
from vlae_tf.models import importance_weighted_log_prob
from vlae_tf.runs import load_run
from vlae_tf.training import train
from vlae_tf.zoo import publishing

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of the run, to be changed."""
    return shutil.copytree(tiny_run, tmp_path / "run")


@pytest.fixture(scope="module")
def model(tiny_run):
    return load_run(tiny_run)


@pytest.fixture
def one_model(model, monkeypatch):
    """Loads every folder's weights into one model, whose functions are compiled once."""

    def load(folder, dtype):
        load_weights(model, folder / "model.weights.h5")
        return model

    monkeypatch.setattr(publishing, "load_run", load)


def read(path):
    return json.loads(path.read_text())


def refused(run, tmp_path, words):
    with pytest.raises(ValueError, match=words):
        publishing.publish(run, tmp_path / "zoo" / "new")
    assert not (tmp_path / "zoo" / "new").exists()


def test_weights_are_stored_as_float16(tiny_run, tiny_entry):
    run, entry = read(tiny_run / "metrics.json"), read(tiny_entry / "metrics.json")
    assert entry["weights_sha256"] == sha256(tiny_entry / "model.weights.h5")
    assert entry["weights_sha256"] != run["weights_sha256"]
    assert entry["likelihood"] == run["likelihood"]
    whole, kept = load_run(tiny_run), load_run(tiny_entry)
    masked = [layer for layer in whole._flatten_layers() if isinstance(layer, KernelLayer)]
    before = [np.array(layer._kernel) for layer in masked]
    for layer in masked:
        layer.zero_masked()
    assert any((np.array(x._kernel) != b).any() for x, b in zip(masked, before, strict=True))
    for before, after in zip(whole.get_weights(), kept.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before.astype("float16").astype(before.dtype))
    stored, examples = entry["stored"], np.load(tiny_entry / "examples.npz")["images"]
    assert (stored["dtype"], stored["examples"]) == ("float16", len(examples))
    assert abs(stored["mean_change_nats"]) <= stored["largest_change_nats"] < 0.01


@pytest.mark.parametrize("shape, count", [((28, 28, 1), 64), ((32, 32, 3), 16), ((96, 96, 3), 16)])
def test_number_of_examples_falls_with_their_size(shape, count):
    assert publishing.examples_count(np.zeros((100, *shape), "uint8")) == count
    assert publishing.examples_count(np.zeros((0, *shape), "uint8")) >= publishing.CHECKED


@pytest.mark.parametrize("how", ["moves the likelihood", "does not hold them"])
def test_weights_stay_as_they_are_where_float16(run, tmp_path, one_model, monkeypatch, how):
    def spoil(_, path):
        if how == "does not hold them":
            path.write_bytes(b"as float32, with zeros")
            raise ValueError("a number beyond 65504")
        model = load_run(run)
        model.set_weights([0 * weight for weight in model.get_weights()])
        model.save_weights(path, overwrite=True)

    monkeypatch.setattr(publishing, "pack_weights", spoil)
    entry = tmp_path / "entry"
    publishing.publish(run, entry)
    assert sha256(entry / "model.weights.h5") == sha256(run / "model.weights.h5")
    metrics = read(entry / "metrics.json")
    assert metrics == read(run / "metrics.json") and "stored" not in metrics
    assert not (entry / "float32.weights.h5").exists()
    assert "float16" not in (entry / "card.md").read_text()
    # The examples' log-probabilities are those of the weights that stay.
    examples = np.load(entry / "examples.npz")
    kept = examples["log_prob"]
    expected = importance_weighted_log_prob(load_run(run), examples["images"], publishing.CHECKED)
    np.testing.assert_allclose(kept, expected[: len(kept)], atol=1e-4)


def test_run_that_was_not_evaluated_is_not_published(run, tmp_path):
    (run / "metrics.json").unlink()
    refused(run, tmp_path, "with its metrics.* without metrics.json")


def test_metrics_of_other_weights_are_not_published(run, tmp_path):
    weights = run / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    refused(run, tmp_path, "metrics.json in .* belongs to other weights")


@pytest.mark.parametrize("content", [None, np.ones(8, "float32")])
def test_means_of_other_log_probabilities_are_not_published(run, tmp_path, content):
    (run / "metrics-8x2.npy").unlink()
    if content is not None:
        np.save(run / "metrics-8x2.npy", content)
    refused(run, tmp_path, "metrics-8x2.npy.* Run `vlae-tf evaluate` again")


def test_entry_is_replaced_whole_and_keeps_the_probe_of_its_weights(tiny_zoo, run, one_model):
    entry = tiny_zoo / "tiny"
    (entry / "metrics-9x9.npy").write_text("of an evaluation before")
    (entry / "notes.txt").write_text("of the user's")
    (entry / ".git").mkdir()
    (entry / ".git" / "config").write_text("also")
    weights = read(run / "metrics.json")["weights_sha256"]
    (run / "probe.json").write_text(json.dumps({"weights_sha256": weights}))
    publishing.publish(run, entry)
    assert (entry / "metrics-8x2.npy").is_file() and not (entry / "metrics-9x9.npy").exists()
    assert (entry / "notes.txt").read_text() == "of the user's"
    assert (entry / ".git" / "config").read_text() == "also"
    metrics = read(entry / "metrics.json")
    assert metrics["likelihood"][0]["command"] == "vlae-tf evaluate run"
    assert not [path for path in tiny_zoo.iterdir() if path.name.startswith(".")]
    # The probe was made with the run's weights, which the entry holds as float16.
    stored = {"weights_sha256": metrics["weights_sha256"]}
    assert read(entry / "probe.json") == stored
    # Without a probe of the run, the entry's own is kept if it belongs to the same weights.
    (run / "probe.json").unlink()
    publishing.publish(run, entry)
    assert read(entry / "probe.json") == stored
    (entry / "probe.json").write_text(json.dumps({"weights_sha256": "0" * 64}))
    publishing.publish(run, entry)
    assert not (entry / "probe.json").exists()


def test_licence_is_a_name(run, tmp_path):
    with pytest.raises(ValueError, match="`licence` must be the SPDX name .*licence=5"):
        publishing.publish(run, tmp_path / "new", licence=5)


def test_recipe_that_was_changed_since_is_not_published(run, tmp_path):
    recipe = read(run / "recipe.json")
    (run / "recipe.json").write_text(json.dumps(recipe | {"batch_size": 5}))
    refused(run, tmp_path, "`run` must be .* that it began with.*changed since")


def test_entry_of_a_ladder_shows_its_rungs(tmp_path, monkeypatch):
    labels = {"train": np.arange(30) % 2, "test": np.arange(20) % 2}
    monkeypatch.setattr(probe, "load_labels", lambda name, split, _: labels[split])
    units, rungs = [[4], [3]], [2, 2]
    parts = {
        "encoder": ("LadderEncoder", {"units": units}),
        "decoder": ("LadderDecoder", {"rungs": rungs, "units": units}),
        "posterior_family": ("LadderPosterior", {"rungs": rungs, "feature_sizes": [4, 3]}),
        "prior_family": ("GaussianMixturePrior", {"rungs": rungs, "components": 2, "scale": 1.0}),
        "likelihood_family": ("BernoulliLikelihood", {"projection": False}),
    }
    parts = {name: {"class_name": kind, "config": config} for name, (kind, config) in parts.items()}
    images = write_images(tmp_path / "digits.npz", train=30, test=20)
    objective = {"class_name": "LadderELBO", "config": {"rungs": rungs}}
    recipe = tiny_recipe(images, model={"latent_dim": 4, **parts}, objective=objective)
    train(recipe, tmp_path / "run", verbose=0)
    evaluate_run(tmp_path / "run", importance_samples=2, num_images=8)
    probe_rungs(tmp_path / "run", num_images=25, neighbours=3, clusters=2)
    entry = tmp_path / "zoo" / "ladder"
    publishing.publish(tmp_path / "run", entry)
    told = (entry / "card.md").read_text()
    assert "VLAC" in told and "| `ladder` | 1 | 2 of 2 | 2 |" in told
    for picture in ("manifolds.png", "clusters.png"):
        assert f"]({picture})" in told and (entry / picture).is_file()
    weights = sha256(entry / "model.weights.h5")
    assert read(entry / "rungs.json")["weights_sha256"] == weights


def test_entry_that_cannot_be_replaced_stays(tiny_zoo, tiny_run, one_model, monkeypatch):
    before = {path.name: path.read_bytes() for path in (tiny_zoo / "tiny").iterdir()}
    rename = pathlib.Path.rename

    def full_disk(path, target):
        if target == tiny_zoo / "tiny" and path.name == "tiny":
            raise OSError("No space left on device")
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", full_disk)
    with pytest.raises(OSError, match="No space left"):
        publishing.publish(tiny_run, tiny_zoo / "tiny")
    assert {path.name: path.read_bytes() for path in (tiny_zoo / "tiny").iterdir()} == before
    assert [path.name for path in tiny_zoo.iterdir()] == ["tiny"]


@pytest.mark.parametrize("what", ["its parent", "the run itself", "a folder", "a file", "a name"])
def test_nothing_but_an_entry_is_replaced(run, tmp_path, what):
    """Neither the run nor anything else of the user's is lost."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    (tmp_path / "file").write_text("more years")
    folder = {
        "its parent": run.parent,
        "the run itself": run,
        "a folder": tmp_path / "mine",
        "a file": tmp_path / "file",
        "a name": tmp_path / "a|b",
    }[what]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="`folder` must be .* Received: "):
        publishing.publish(run, folder)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_weights_saved_meanwhile_are_not_published(run, tmp_path, one_model, monkeypatch):
    read = publishing.split_images

    def saving(*arguments):
        model = load_run(run)
        model.set_weights([weight + 0.5 for weight in model.get_weights()])
        model.save_weights(run / "model.weights.h5", overwrite=True)
        return read(*arguments)

    monkeypatch.setattr(publishing, "split_images", saving)
    refused(run, tmp_path, "`run` must be left alone while it is published")


def test_other_images_than_those_evaluated_are_not_published(run, tmp_path, monkeypatch):
    read = publishing.split_images
    monkeypatch.setattr(publishing, "split_images", lambda *a: 1 - read(*a))
    refused(run, tmp_path, "must be those that it was evaluated on")

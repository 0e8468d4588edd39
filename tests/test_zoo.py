"""The zoo: what is in it is what was measured, and nothing outside it can be reached."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from vlae_tf import publishing, results, zoo
from vlae_tf.evaluation import evaluate_run, lossy
from vlae_tf.evaluation.evaluate_run import log_prob_path
from vlae_tf.evaluation.units import rounded
from vlae_tf.models import importance_weighted_log_prob

# Entries that were measured before these were kept have none.
_LOG_PROBS = sorted(zoo.FOLDER.glob("*/metrics-*.npy"))


@pytest.mark.parametrize("name", zoo.list())
def test_every_entry_has_the_likelihood_it_was_published_with(name):
    with np.load(zoo.folder(name) / "examples.npz") as file:
        images, published = file["images"], file["log_prob"]
    count = len(published)
    log_prob = importance_weighted_log_prob(zoo.load(name), images[:count], count)
    np.testing.assert_allclose(log_prob, published, atol=0.02)


@pytest.mark.parametrize("name", zoo.list())
def test_the_published_likelihood_is_plausible_for_the_examples(name):
    # Of so few images no more than the order is certain: nats taken for bits, a sum for a mean.
    # Whose figures they are is what the sha256 of the weights says, which loading compares.
    metrics = zoo.info(name)["metrics"]["likelihood"][0]
    with np.load(zoo.folder(name) / "examples.npz") as file:
        log_prob = file["log_prob"]
    error = log_prob.std() / np.sqrt(len(log_prob))
    assert abs(-log_prob.mean() - metrics["nll"]) < 5 * error


@pytest.mark.data
@pytest.mark.parametrize("path", _LOG_PROBS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_published_means_are_of_log_probabilities_that_can_be_had_again(path, tmp_path):
    metrics = zoo.info(path.parent.name)["metrics"]
    blocks = {log_prob_path(path.with_name("metrics.json"), b): b for b in metrics["likelihood"]}
    block, log_prob = blocks[path], np.load(path).astype("float64")
    assert -log_prob.mean() == pytest.approx(block["nll"], rel=1e-6)
    error = log_prob.std(ddof=1) / np.sqrt(len(log_prob))
    assert error == pytest.approx(block["nll_standard_error"], rel=1e-5)

    if block is metrics["likelihood"][0]:  # of all images
        arguments = {"importance_samples": block["importance_samples"], "seed": metrics["seed"]}
        try:
            evaluate_run(path.parent, tmp_path / "again.json", num_images=8, **arguments)
        except FileNotFoundError as error:  # not every machine has prepared every data set
            pytest.skip(str(error))
        [again] = tmp_path.glob("*.npy")
        rows = np.random.default_rng(metrics["seed"]).permutation(len(log_prob))[:8]
        # The published ones may have been measured in mixed_bfloat16.
        np.testing.assert_allclose(np.load(again), log_prob[np.sort(rows)], atol=0.1)


@pytest.mark.parametrize("name", zoo.list())
def test_every_entry_is_complete(name):
    files = {path.name for path in zoo.folder(name).iterdir()}
    assert {"card.md", "recipe.json", "run.json", "history.csv", "examples.npz"} <= files
    assert {"samples.png", "reconstructions.png", "history.png"} <= files


def test_the_readme_has_the_table_of_the_entries(request):
    readme = (request.config.rootpath / "README.md").read_text()
    assert results.results_table() in readme


def test_the_results_page_is_that_of_the_entries(request):
    page = request.config.rootpath / "docs" / "results.md"
    assert page.read_text() == results.results_page()


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        (".", [f"cifar10_lossy_{window}" for window in ("4x2", "5x3", "7x4", "7x4_grey")]),
        ("mnist", ["mnist_static", "mnist_static_factorised"]),
    ],
)
def test_the_page_of_the_lossy_experiment_is_that_of_the_entries(request, folder, names):
    docs = request.config.rootpath / "docs" / "lossy"
    rows, _, metrics = lossy._compared({name: zoo.folder(name) for name in names})
    assert (docs / folder / "table.md").read_text() == lossy._table(rows, metrics)
    page = (docs / "README.md").read_text()
    for row in rows:
        nll, error = (rounded(row[key], metrics) for key in ("nll", "nll_standard_error"))
        control = rounded(row["control"], metrics)
        worth = " ± ".join(rounded(value, metrics) for value in row["gain"])
        told = f"| {nll} ± {error} | {row['code_bits']:.1f} | {control} | {worth} |"
        assert told in page, row["name"]


@pytest.mark.parametrize("name", zoo.list())
def test_the_card_is_that_of_the_entry(name):
    folder = zoo.folder(name)
    assert (folder / "card.md").read_text() == publishing.card(name, folder)


def test_colours_are_told_in_bits_a_dimension(tiny_zoo):
    nats = results.results_table()
    assert nats.startswith("| entry | test NLL |") and "bits/dim" not in nats
    path = tiny_zoo / "tiny" / "metrics.json"
    metrics = json.loads(path.read_text())
    path.write_text(json.dumps(metrics | {"binarisation": "none"}))
    (best,) = metrics["likelihood"]
    error = best["nll_standard_error"] / (64 * np.log(2))
    row = f"| [tiny](zoo/tiny/card.md) | **{best['bits_per_dim']:.3f}** ± {error:.3f} |"
    bits = results.results_table()
    assert bits.startswith("| entry | test bits/dim |") and row in bits
    # Beside an entry in nats: a table each.
    shutil.copytree(tiny_zoo / "tiny", tiny_zoo / "binary")
    (tiny_zoo / "binary" / "metrics.json").write_text(json.dumps(metrics))
    assert results.results_table() == nats.replace("tiny", "binary") + "\n" + bits


def test_the_control_is_told_beside_the_entry(tiny_zoo):
    path = tiny_zoo / "tiny" / "metrics.json"
    metrics = json.loads(path.read_text())
    assert results.control_sentence(metrics, 4) == "not measured yet"
    figures = {"nll": 50.0, "nll_standard_error": 0.25, "gain": 1.5, "gain_standard_error": 0.125}
    metrics["control"] = {**figures, "num_images": 8, "importance_samples": 16}
    path.write_text(json.dumps(metrics))
    told = results.control_sentence(metrics, 4)
    assert told.startswith("50.00 ± 0.25 nats on 8 images, so the code is worth 1.50 ± 0.12 nats")
    assert told.endswith("with 16 importance samples")
    assert "| 50.00 |" in results.results_table() and told in results.results_page()
    # Of other images it does not stand beside the entry's likelihood.
    path.write_text(json.dumps(metrics | {"control": metrics["control"] | {"num_images": 7}}))
    assert "50.00" not in results.results_table() and "on 7 images" in results.results_page()
    of_training = metrics["control"] | {"trained": "vlae-tf train it --control", "epochs": 3}
    told = results.control_sentence(metrics | {"control": of_training}, 4)
    assert told.endswith("(`vlae-tf train it --control`, 3 epochs; the model had 4)")
    assert results.control_sentence(metrics | {"control": of_training}, 3).endswith(", 3 epochs)")


def test_the_page_tells_what_the_probe_read(tiny_zoo):
    assert "vlae-tf probe" not in results.results_page()
    read = {"accuracy": 0.9512, "standard_error": 0.0021}
    dataset = json.loads((tiny_zoo / "tiny" / "metrics.json").read_text())["dataset"]
    probe = {"train_images": 10_000, "test_images": 500, "code": read, "pixels": read}
    probe |= {"classifier": "logistic_regression", "dataset": dataset}
    path = tiny_zoo / "tiny" / "probe.json"
    path.write_text(json.dumps(probe))
    page = results.results_page()
    assert "to 10,000 training images" in page and "accuracy of 95.1 ± 0.2 %" in page
    assert "`vlae-tf probe`" in page and "--dataset" not in page
    path.write_text(json.dumps(probe | {"dataset": "mnist_dynamic"}))
    page = results.results_page()
    assert "a test image of mnist_dynamic" in page and "probe --dataset mnist_dynamic`" in page
    path.write_text(
        json.dumps(probe | {"classifier": "linear_discriminant_analysis", "train_images": 900})
    )
    page = results.results_page()
    assert "(linear discriminant analysis)" in page
    assert "probe --classifier linear_discriminant_analysis --images 900`" in page


def test_an_entry_loads_and_draws(tiny_zoo):
    assert zoo.list() == ["tiny"] and zoo.list("t*y") == ["tiny"] and zoo.list("x*") == []
    assert zoo.load("tiny").sample(2, seed=0).shape == (2, 8, 8, 1)
    assert zoo.info("tiny")["metrics"]["likelihood"][0]["num_images"] == 8
    assert "## Licence" in zoo.info("tiny")["card"]


def test_the_dtype_changes_the_convolutions_alone(tiny_zoo):
    model = zoo.load("tiny", dtype="mixed_bfloat16")
    assert model.encoder.compute_dtype == "bfloat16"
    assert model.posterior_family.compute_dtype == "float32"
    assert zoo.load("tiny").encoder.compute_dtype == "float32"


@pytest.mark.parametrize("name", ["clowntown", "../run", "tiny/../tiny", "", ".", "/etc", "tiny/"])
def test_an_unknown_name_lists_the_known_ones(tiny_zoo, name):
    (tiny_zoo.parent / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="one of the zoo's entries: tiny. Received: name="):
        zoo.load(name)


@pytest.mark.parametrize("damage", ["truncated", "other"])
def test_weights_that_were_not_measured_are_refused(tiny_zoo, damage):
    weights = tiny_zoo / "tiny" / "model.weights.h5"
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2] if damage == "truncated" else data[:-1] + b"!")
    with pytest.raises(ValueError, match="must have the sha256 .* Received: sha256"):
        zoo.load("tiny")


@pytest.mark.parametrize("content", ["{}", '{"weights_sha256": ', "[]", "0"])
def test_damaged_metrics_are_named(tiny_zoo, content):
    (tiny_zoo / "tiny" / "metrics.json").write_text(content)
    for read in (zoo.load, zoo.info):
        with pytest.raises(ValueError, match="`path` must hold the metrics.*tiny/metrics.json"):
            read("tiny")


def test_truncated_examples_are_named(tiny_zoo):
    path = tiny_zoo / "tiny" / "examples.npz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="tiny/examples.npz cannot be read"):
        zoo.examples("tiny")


def test_a_probe_is_published_with_the_weights_that_it_read(tiny_run, tmp_path):
    run, entry = tmp_path / "run", tmp_path / "entry"
    shutil.copytree(tiny_run, run)
    weights = json.loads((run / "metrics.json").read_text())["weights_sha256"]
    (run / "probe.json").write_text(json.dumps({"weights_sha256": weights}))
    publishing.publish(run, entry)
    (run / "probe.json").unlink()
    publishing.publish(run, entry)  # the entry's own is kept
    assert json.loads((entry / "probe.json").read_text())["weights_sha256"] == weights
    (entry / "probe.json").write_text(json.dumps({"weights_sha256": "0" * 64}))
    publishing.publish(run, entry)
    assert not (entry / "probe.json").exists()


def test_the_card_says_where_a_run_went_on_from(tiny_zoo):
    path = tiny_zoo / "tiny" / "recipe.json"
    assert "The recipe is [recipe.json](recipe.json).\n" in publishing.card("tiny", path.parent)
    recipe = json.loads(path.read_text())
    path.write_text(json.dumps(recipe | {"initial_weights": "runs/before/model.weights.h5"}))
    assert "are not kept, nor are their curves.\n" in publishing.card("tiny", path.parent)


def test_a_run_that_was_not_measured_is_not_published(tiny_zoo, tmp_path):
    run = tmp_path / "unmeasured"
    shutil.copytree(tiny_zoo / "tiny", run)
    (run / "metrics.json").unlink()
    with pytest.raises(ValueError, match="with its metrics.* without metrics.json"):
        publishing.publish(run, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_metrics_of_other_weights_are_not_published(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    weights = run / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="metrics of its own weights"):
        publishing.publish(run, tmp_path / "new")


@pytest.mark.parametrize("content", [None, np.ones(8, "float32")])
def test_means_of_other_log_probabilities_are_not_published(tiny_run, tmp_path, content):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "metrics-8x2.npy").unlink()
    if content is not None:
        np.save(run / "metrics-8x2.npy", content)
    with pytest.raises(ValueError, match="evaluate it again. Received: .* without metrics-8x2.npy"):
        publishing.publish(run, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_publishing_replaces_an_entry_whole(tiny_zoo, tiny_run):
    (tiny_zoo / "tiny" / "left_over.txt").write_text("old")
    publishing.publish(tiny_run, tiny_zoo / "tiny")
    assert (tiny_zoo / "tiny" / "metrics-8x2.npy").is_file()
    assert not (tiny_zoo / "tiny" / "left_over.txt").exists()
    metrics = json.loads((tiny_zoo / "tiny" / "metrics.json").read_text())
    assert metrics["likelihood"][0]["command"] == "vlae-tf evaluate run"
    assert not [path for path in tiny_zoo.iterdir() if path.name.startswith(".")]


def test_an_entry_that_cannot_be_replaced_stays(tiny_zoo, tiny_run, monkeypatch):
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


def test_an_entry_that_went_on_from_other_weights_says_so(tiny_zoo):
    folder = tiny_zoo / "tiny"
    assert "of earlier runs" not in results.results_page() + publishing.card("tiny", folder)
    record = json.loads((folder / "run.json").read_text())
    record["earlier"] = {"epochs": 30, "wall_time_s": 7200.0}
    (folder / "run.json").write_text(json.dumps(record))
    for told in (results.results_page(), publishing.card("tiny", folder)):
        assert "after 30 epochs in 2.0 hours of earlier runs" in told


def test_a_source_is_an_entry_or_a_run(tiny_zoo, tiny_run):
    assert zoo.locate("tiny") == tiny_zoo / "tiny" and zoo.locate(str(tiny_run)) == tiny_run
    assert zoo.load_source(str(tiny_run)).latent_dim == 2
    with pytest.raises(ValueError, match="Received: name='nothing/here'"):
        zoo.locate("nothing/here")

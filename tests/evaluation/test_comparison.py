"""Runs side by side: rows of what was measured, and differences over the same images."""

import json
import shutil

import numpy as np
import pytest

from vlae_tf.evaluation import comparison_table, paired_difference, renew_comparison
from vlae_tf.evaluation.units import number_of_samples


@pytest.fixture
def runs(tiny_run, tmp_path):
    """The tiny run, and another whose images are each likelier by one nat or two."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        shutil.copytree(tiny_run, folder)
    metrics = json.loads((folders[1] / "metrics.json").read_text())
    block = metrics["likelihood"][0]
    name = f"metrics-{block['num_images']}x{block['importance_samples']}.npy"
    gains = np.resize([1.0, 2.0], block["num_images"])
    log_prob = (np.load(folders[0] / name) + gains).astype("float32")
    np.save(folders[1] / name, log_prob)
    block["nll"] = -float(log_prob.mean(dtype="float64"))
    (folders[1] / "metrics.json").write_text(json.dumps(metrics))
    return folders, gains


def test_a_row_for_each_evaluation_and_the_difference_of_pairs(runs):
    folders, gains = runs
    table = [line.strip("| ").split(" | ") for line in comparison_table(folders).splitlines()]
    head, _, first, second = table
    assert len({len(row) for row in (head, first, second)}) == 1
    assert [row[0] for row in (first, second)] == ["`first`", "`second`"]
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    assert first[5] == "-" and second[5] == f"1.50 ± {error:.2f}"
    block = json.loads((folders[0] / "metrics.json").read_text())["likelihood"][0]
    assert first[4] == f"{block['nll']:.2f} ± {block['nll_standard_error']:.2f}"
    assert first[3].endswith(f"× {number_of_samples(block)}")


def test_what_was_measured_of_some_runs_has_a_column(runs):
    folders, _ = runs
    assert "probe" not in comparison_table(folders)
    path = folders[1] / "metrics.json"
    metrics = json.loads(path.read_text())
    information = {"nats": 1.234, "most": 2.0, "num_images": 8}
    path.write_text(json.dumps(metrics | {"mutual_information": information}))
    probe = {"dataset": "mnist_dynamic", "weights_sha256": metrics["weights_sha256"]}
    probe |= {"train_images": 9, "test_images": 9, "classifier": "logistic_regression"}
    accuracy = {"accuracy": 0.876, "standard_error": 0.01, "C": 1.0}
    probe |= {"code": accuracy, "pixels": accuracy}
    (folders[1] / "probe.json").write_text(json.dumps(probe))
    head, _, first, second = comparison_table(folders).splitlines()
    assert head.endswith("| mutual information (nats) | linear probe (%) |")
    assert first.endswith("| - | - |") and second.endswith("| 1.23 | 87.6 |")
    # A probe of weights that are no longer there is not told.
    (folders[1] / "probe.json").write_text(json.dumps(probe | {"weights_sha256": "0" * 64}))
    assert "probe" not in comparison_table(folders)


def test_without_log_probabilities_there_is_no_difference(runs):
    folders, _ = runs
    for path in folders[1].glob("metrics-*.npy"):
        path.unlink()
    assert comparison_table(folders).splitlines()[-1].split(" | ")[5] == "-"


def test_a_page_gets_the_table_between_its_marks(runs, tmp_path):
    folders, _ = runs
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- comparison: written by `vlae-tf compare` -->\nold\n"
        "<!-- end of comparison -->\nafter\n"
    )
    renew_comparison(page, folders)
    text = page.read_text()
    assert text.startswith("before") and text.endswith("after\n") and "old" not in text
    assert comparison_table(folders) in text


def test_evaluations_of_different_data_are_not_compared(runs):
    folders, _ = runs
    metrics = json.loads((folders[1] / "metrics.json").read_text())
    (folders[1] / "metrics.json").write_text(json.dumps(metrics | {"split": "validation"}))
    with pytest.raises(ValueError, match="`folders` must agree in dataset, split.* Received: fir"):
        comparison_table(folders)
    for none in ([], str(folders[0]), folders[0]):
        with pytest.raises(ValueError, match="`folders` must be a list of the folders of one run"):
            comparison_table(none)


@pytest.mark.parametrize(
    "alter",
    [
        lambda a: a[:1],
        lambda a: a[0],
        lambda a: a[:, None],
        lambda a: a > a.mean(),
        lambda a: a.astype("int64"),
        lambda a: 0 * a - 1,
        lambda a: np.where(np.arange(len(a)) == 0, np.nan, a),
        lambda a: a.astype(complex),
        lambda a: a[:0],
    ],
    ids=["one", "scalar", "column", "bool", "int", "other", "nan", "complex", "none"],
)
def test_altered_log_probabilities_are_named(runs, alter):
    folders, _ = runs
    (path,) = folders[0].glob("metrics-*.npy")
    np.save(path, alter(np.load(path)))
    with pytest.raises(ValueError, match=f"{path.name} must hold the log p"):
        comparison_table(folders)


def test_a_run_is_itself_by_any_path(runs):
    folders, _ = runs
    block = json.loads((folders[0] / "metrics.json").read_text())["likelihood"][0]
    again = folders[1] / ".." / folders[0].name
    assert paired_difference(folders[0], again, block) is None


def test_evaluations_of_other_images_under_one_path_are_not_compared(runs):
    folders, _ = runs
    path = folders[1] / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"images_sha256": "0" * 64}))
    with pytest.raises(ValueError, match="evaluated on the same images"):
        comparison_table(folders)


def test_an_evaluation_of_one_image_has_no_error(runs):
    folders, _ = runs
    for folder in folders:
        metrics = json.loads((folder / "metrics.json").read_text())
        metrics["likelihood"][0]["nll_standard_error"] = None
        (folder / "metrics.json").write_text(json.dumps(metrics))
    assert "None" not in comparison_table(folders) and "±" not in comparison_table(folders[:1])


def test_weights_that_were_trained_on_since_are_not_compared(runs):
    folders, _ = runs
    with (folders[1] / "model.weights.h5").open("ab") as file:
        file.write(b"!")
    block = {"num_images": 8, "importance_samples": 2}
    for compare in (comparison_table, lambda both: paired_difference(*both, block)):
        with pytest.raises(ValueError, match=r"second belongs to other weights.*evaluate` again"):
            compare(folders)


def test_pairs_are_of_the_same_images(runs, tmp_path):
    folders, _ = runs
    block = {"num_images": 8, "importance_samples": 2}
    assert paired_difference(*folders, block) is not None
    path = folders[1] / "metrics.json"
    metrics = json.loads(path.read_text())
    path.write_text(json.dumps(metrics | {"dataset": "omniglot"}))
    with pytest.raises(ValueError, match="`folders` must agree in dataset"):
        paired_difference(*folders, block)
    with pytest.raises(ValueError, match="must be folders.*no_such"):
        paired_difference(folders[0], tmp_path / "no_such", block)

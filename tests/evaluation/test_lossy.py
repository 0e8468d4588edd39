"""Windows side by side: in order, measured alike, and drawn from the codes of the same images."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.evaluation.test_plots import ink
from vlae_tf import cli
from vlae_tf.evaluation import compare_windows, evaluate_run
from vlae_tf.training import Recipe, load_run, train


@pytest.fixture(scope="module")
def folders(tiny_run, tmp_path_factory):
    """A model with the tiny run's window, and one that sees nothing; the larger window first."""
    recipe = Recipe.load(tiny_run / "recipe.json")
    blind = recipe.model | {"likelihood_family": {"class": "BernoulliLikelihood"}}
    folder = tmp_path_factory.mktemp("lossy") / "blind"
    train(dataclasses.replace(recipe, model=blind), folder, verbose=0)
    # The tiny run is measured once with 8 images; this one in another way too, on more of them.
    evaluate_run(folder, importance_samples=2, num_images=8)
    evaluate_run(folder, importance_samples=2, num_images=16)
    return {"seeing": tiny_run, "blind": folder}


def test_rows_are_measured_alike_and_ordered_by_window(folders, tmp_path):
    rows = compare_windows(folders, tmp_path, num_images=2, draws=1)
    assert [row["name"] for row in rows] == ["blind", "seeing"]
    assert [row["window"] for row in rows] == ["nothing", "7x3 above, 3 left"]
    for row in rows:
        metrics = json.loads((folders[row["name"]] / "metrics.json").read_text())
        (block,) = (b for b in metrics["likelihood"] if b["num_images"] == 8)
        assert row["nll"] == block["nll"] and row["code_bits"] == block["code_bits"]
    table = (tmp_path / "table.md").read_text()
    assert f"| {rows[0]['nll']:.2f} ± " in table and "8 images × 2 importance samples" in table
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_images_of_256_levels_are_told_in_bits_a_dimension(folders, tmp_path):
    shutil.copytree(folders["seeing"], tmp_path / "colour")
    path = tmp_path / "colour" / "metrics.json"
    metrics = json.loads(path.read_text())
    control = {"nll": 64 * np.log(2), "num_images": metrics["likelihood"][0]["num_images"]}
    path.write_text(json.dumps({**metrics, "binarisation": "none", "control": control}))
    (row,) = compare_windows({"colour": path.parent}, tmp_path / "out", num_images=1, draws=1)
    table = (tmp_path / "out" / "table.md").read_text()
    assert "NLL (bits/dim) | ELBO | without a code" in table
    assert f"| {row['bits_per_dim']:.3f} ± " in table and "| 1.000 |" in table


def test_picture_shows_test_images_and_what_is_drawn_from_their_codes(folders, tmp_path):
    compare_windows(folders, tmp_path, num_images=4, draws=2, seed=5)
    shown = ink(tmp_path / "reconstructions.png", 5, 4, 8, 8)
    recipe = Recipe.load(folders["seeing"] / "recipe.json")
    images = np.load(recipe.dataset)["test"][:4]
    np.testing.assert_allclose(shown[0], images[..., 0], atol=0.01)
    for first, name in ((1, "blind"), (3, "seeing")):
        model = load_run(folders[name], "float32")
        code = model.encode(images)
        drawn = model.decode(np.concatenate([code, code]), seed=5).reshape(2, 4, 8, 8)
        np.testing.assert_allclose(shown[first : first + 2], drawn, atol=0.01)


def test_command_tells_the_figures(folders, tmp_path):
    arguments = ["lossy", *map(str, folders.values()), "--out", str(tmp_path), "--images", "2"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0 and "nothing" in result.output, result.output
    with pytest.raises(ValueError, match="`sources` must have names of their own"):
        CliRunner().invoke(cli.app, [*arguments, arguments[1]], catch_exceptions=False)


def test_models_that_cannot_be_compared(folders, tiny_run, tmp_path):
    with pytest.raises(ValueError, match="at least one model"):
        compare_windows({}, tmp_path)
    with pytest.raises(ValueError, match="must be positive.*draws=0"):
        compare_windows(folders, tmp_path, draws=0)
    other = tmp_path / "other"
    shutil.copytree(tiny_run, other)
    metrics = json.loads((other / "metrics.json").read_text())
    (other / "metrics.json").write_text(json.dumps(metrics | {"split": "train"}))
    with pytest.raises(ValueError, match="measured on the same dataset, split.*train"):
        compare_windows({**folders, "other": other}, tmp_path)
    # Another seed takes other images, where not all are taken.
    (other / "metrics.json").write_text(json.dumps(metrics | {"seed": 7}))
    with pytest.raises(ValueError, match="binarisation, seed.*7"):
        compare_windows({**folders, "other": other}, tmp_path)
    metrics["likelihood"][0]["importance_samples"] = 99
    (other / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match=r"same number of images.*other: \[\(8, 99\)\]"):
        compare_windows({**folders, "other": other}, tmp_path)
    (other / "metrics.json").unlink()
    with pytest.raises(ValueError, match="must be measured.*Received: other="):
        compare_windows({**folders, "other": other}, tmp_path)

"""Windows side by side: in order, measured alike, and drawn from the codes of the same images."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.evaluation.test_plots import ink
from tests.tiny import untrained_run
from vlae_tf import cli
from vlae_tf.evaluation import compare_windows, evaluate_run, lossy
from vlae_tf.evaluation.units import window
from vlae_tf.layers import GatedPixelCNN
from vlae_tf.runs import Recipe


@pytest.fixture(scope="module")
def folders(tiny_run, tmp_path_factory):
    """A model with the tiny run's window, and one that sees nothing; the larger window first."""
    recipe = Recipe.load(tiny_run / "recipe.json")
    blind = recipe.model | {"likelihood_family": {"class_name": "BernoulliLikelihood"}}
    folder = tmp_path_factory.mktemp("lossy") / "blind"
    untrained_run(folder, recipe.replace(model=blind), (8, 8, 1))
    # The tiny run is measured once with 8 images; this one in another way too, on more of them.
    evaluate_run(folder, importance_samples=2, num_images=8)
    evaluate_run(folder, importance_samples=2, num_images=16)
    return {"seeing": tiny_run, "blind": folder}


@pytest.fixture(autouse=True)
def loading(load_once, monkeypatch):
    monkeypatch.setattr(lossy, "load_run", load_once)


def test_rows_are_measured_alike_and_ordered_by_window(folders, tmp_path):
    rows = compare_windows(folders, tmp_path, num_images=2, draws=1)
    assert [row["name"] for row in rows] == ["blind", "seeing"]
    assert [row["window"] for row in rows] == ["nothing", "7x3 above, 3 left"]
    assert all(row["gain"] is None and row["control"] is None for row in rows)
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
    size = {key: metrics["likelihood"][0][key] for key in ("num_images", "importance_samples")}
    bit = 64 * np.log(2)
    control = {**size, "nll": bit, "gain": bit / 4, "gain_standard_error": bit / 8}
    colour = {**metrics, "binarisation": "none"}
    path.write_text(json.dumps({**colour, "control": control}))
    (row,) = compare_windows({"colour": path.parent}, tmp_path / "out", num_images=1, draws=1)
    table = (tmp_path / "out" / "table.md").read_text()
    assert "NLL (bits/dim) | -ELBO | without a code | the code is worth |" in table
    assert f"| {row['bits_per_dim']:.3f} ± " in table and "| 1.000 | 0.250 ± 0.125 |" in table
    assert f"| {-row['elbo'] / bit:.3f} |" in table and row["gain"] == (bit / 4, bit / 8)
    # What the code is worth depends on how tightly the likelihood with it was bound.
    path.write_text(json.dumps({**colour, "control": {**control, "importance_samples": 99}}))
    (row,) = compare_windows({"colour": path.parent}, tmp_path / "out", num_images=1, draws=1)
    assert row["gain"] is None and "| 1.000 | - |" in (tmp_path / "out" / "table.md").read_text()


def test_curves_show_what_the_code_is_worth(curves, tmp_path):
    base = {"nll_standard_error": 0.1, "control": None, "gain": None}
    rows = [
        {**base, "name": "a", "window": "4x2 above, 2 left", "nll": 80.0, "code_bits": 20.0},
        {**base, "name": "b", "window": "7x4 above, 3 left", "nll": 79.0, "code_bits": 9.0},
    ]
    rows[0] |= {"control": 83.0, "gain": (3.0, 0.5)}
    lossy._plot_curves(rows, {"binarisation": "static"}, tmp_path / "curves.png")
    likelihood, worth, bits = curves[0].axes
    assert [line.get_ydata().tolist() for line in bits.lines][0] == [20, 9]
    assert worth.lines[0].get_ydata()[0] == 3 and np.isnan(worth.lines[0].get_ydata()[1])
    assert {tuple(line.get_ydata()[:1]) for line in likelihood.lines} >= {(80,), (83,)}
    assert [label.get_text() for label in worth.get_xticklabels()] == ["4x2\n2 left", "7x4\n3 left"]
    # Two models of one window are told by their names.
    rows[1]["window"] = rows[0]["window"]
    lossy._plot_curves(rows, {"binarisation": "static"}, tmp_path / "curves.png")
    assert [label.get_text() for label in curves[-1].axes[0].get_xticklabels()] == ["a", "b"]


def test_windows_are_ordered_by_what_they_show():
    class Likelihood:
        def __init__(self, width, height, grey=False):
            size = (2 * height + 1, width)
            self.network = GatedPixelCNN(blocks=1, first_kernel_size=size, block_kernel_size=1)
            self.grey_window = grey
            self.image_shape = (32, 32, 3)

    families = [Likelihood(7, 4), Likelihood(4, 2), Likelihood(7, 4, grey=True), object()]
    told = [shown for _, shown in sorted(window(family) for family in families)]
    expected = ["nothing", "7x4 above, 3 left, grey", "4x2 above, 2 left", "7x4 above, 3 left"]
    assert told == expected


def test_figures_of_other_weights_are_not_shown(folders, tmp_path):
    shutil.copytree(folders["seeing"], tmp_path / "run")
    path = tmp_path / "run" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights_sha256": "0" * 64}))
    with pytest.raises(ValueError, match="belongs to other weights than model.weights"):
        compare_windows({"run": path.parent}, tmp_path / "out", num_images=1, draws=1)


def test_picture_shows_test_images_and_what_is_drawn_from_their_codes(folders, load_once, tmp_path):
    compare_windows(folders, tmp_path, num_images=4, draws=2, seed=5)
    shown = ink(tmp_path / "reconstructions.png", 5, 4, 8, 8)
    recipe = Recipe.load(folders["seeing"] / "recipe.json")
    images = np.load(recipe.dataset)["test"][:4]
    np.testing.assert_allclose(shown[0], images[..., 0], atol=0.01)
    for first, name in ((1, "blind"), (3, "seeing")):
        model = load_once(folders[name], "float32")
        code = model.encode(images)
        drawn = model.decode(np.concatenate([code, code]), seed=5).reshape(2, 4, 8, 8)
        np.testing.assert_allclose(shown[first : first + 2], drawn, atol=0.01)


def test_command_tells_the_figures(folders, tmp_path):
    arguments = ["lossy", *map(str, folders.values()), "--out", str(tmp_path), "--images", "2"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0 and "nothing" in result.output, result.output
    with pytest.raises(ValueError, match="`sources` must have different names"):
        CliRunner().invoke(cli.app, [*arguments, arguments[1]], catch_exceptions=False)


def test_models_that_cannot_be_compared(folders, tiny_run, tmp_path):
    with pytest.raises(ValueError, match="at least one model"):
        compare_windows({}, tmp_path)
    with pytest.raises(ValueError, match="`draws` must be an integer, at least 1.*draws=0"):
        compare_windows(folders, tmp_path, draws=0)
    other = tmp_path / "other"
    shutil.copytree(tiny_run, other)
    metrics = json.loads((other / "metrics.json").read_text())
    (other / "metrics.json").write_text(json.dumps(metrics | {"split": "train"}))
    with pytest.raises(ValueError, match="evaluated on the same dataset, split.*train"):
        compare_windows({**folders, "other": other}, tmp_path)
    # Another seed takes other images, where not all are taken.
    (other / "metrics.json").write_text(json.dumps(metrics | {"seed": 7}))
    with pytest.raises(ValueError, match="binarisation, seed.*7"):
        compare_windows({**folders, "other": other}, tmp_path)
    metrics["likelihood"][0]["importance_samples"] = 99
    (other / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match=r"same number of images.*other: \[\(8, 99\)\]"):
        compare_windows({**folders, "other": other}, tmp_path)
    (other / "metrics.json").write_text("{}")
    with pytest.raises(
        ValueError, match="other/metrics.json cannot be read as the metrics.*weights_sha256"
    ):
        compare_windows({**folders, "other": other}, tmp_path)
    (other / "metrics.json").unlink()
    with pytest.raises(ValueError, match="must be evaluated.*Received: other="):
        compare_windows({**folders, "other": other}, tmp_path)

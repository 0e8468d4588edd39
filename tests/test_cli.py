"""The `vlae-tf` command: what it writes, what it says, and what it says of mistakes."""

import json
import shutil
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.tiny import untrained_run
from vlae_tf import catalogue, cli, zoo
from vlae_tf.cli import demo
from vlae_tf.cli.application import examples
from vlae_tf.files import sha256
from vlae_tf.runs import Recipe
from vlae_tf.runs.data import split_images

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]

COMMANDS = (
    ["train"],
    ["recipes"],
    ["evaluate"],
    ["sample"],
    ["reconstruct"],
    ["gibbs"],
    ["compress"],
    ["decompress"],
    ["probe"],
    ["rungs"],
    ["lossy"],
    ["tune"],
    ["export"],
    ["serve"],
    ["client"],
    ["demo"],
    ["zoo", "list"],
    ["zoo", "info"],
    ["zoo", "publish"],
    ["zoo", "table"],
)


def run(*arguments):
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def train_nothing(monkeypatch):
    """From here on `vlae-tf train` leaves a run whose model is as it was before training."""

    def train(recipe, out, **_):
        untrained_run(out, recipe, (8, 8, 1))

    monkeypatch.setattr("vlae_tf.training.train", train)


@pytest.fixture
def loading(load_once, monkeypatch):
    """Every command loads the same model from the same weights."""
    original = zoo.load

    def load(source, dtype="float32"):
        if dtype != "float32":
            return original(source, dtype)
        return load_once(zoo.locate(source), dtype)

    def load_hashed_run(folder, dtype):
        return load_once(folder, dtype), sha256(folder / "model.weights.h5")

    monkeypatch.setattr(zoo, "load", load)
    monkeypatch.setattr("vlae_tf.evaluation.run_metrics.load_hashed_run", load_hashed_run)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command):
    assert "Usage" in run(*command, "--help")


def test_from_a_recipe_to_a_zoo_entry(tiny_recipe_file, tiny_run, tmp_path, monkeypatch):
    out = shutil.copytree(tiny_run, tmp_path / "run")
    (out / "metrics.json").unlink()
    run("train", tiny_recipe_file, "--out", out, "--quiet")  # it is finished
    run("evaluate", out, "--importance-samples", 2, "--images", 8)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["likelihood"][0]["importance_samples"] == 2
    run("zoo", "publish", out, tmp_path / "zoo" / "mine")
    monkeypatch.setattr(catalogue, "ZOO", tmp_path / "zoo")
    assert "mine" in run("zoo", "list")
    assert "Likelihood" in run("zoo", "info", "mine")
    assert "| [mine](zoo/mine/card.md) |" in run("zoo", "table")


def test_control_is_trained_and_put_beside(
    tiny_recipe_file, tiny_run, tmp_path, loading, monkeypatch
):
    train_nothing(monkeypatch)
    control, out = tmp_path / "control", tmp_path / "metrics.json"
    recipe = json.loads(tiny_recipe_file.read_text())
    (tmp_path / "recipe.json").write_text(json.dumps(recipe | {"dtype": "mixed_bfloat16"}))
    changed = ["--epochs", 2, "--dtype", "float32", "--seed", 3]
    run("train", tmp_path / "recipe.json", "--control", *changed, "--out", control, "--quiet")
    recipe = json.loads((control / "recipe.json").read_text())
    assert recipe["model"]["decoder"]["class_name"] == "Unconditional"
    assert (recipe["epochs"], recipe["dtype"], recipe["seed"]) == (2, "float32", 3)
    run("evaluate", tiny_run, "--importance-samples", 2, "--control", control, "--out", out)
    assert np.isfinite(json.loads(out.read_text())["control"]["gain"])


def test_two_evaluations_stand_side_by_side(tiny_run, tmp_path, loading):
    out = tmp_path / "metrics.json"
    run("evaluate", tiny_run, "--importance-samples", 2, "--images", 8, "--out", out)
    options = ["--importance-samples", 4, "--images", 4, "--batch-size", 3]
    run("evaluate", tiny_run, *options, "--out", out)
    blocks = json.loads(out.read_text())["likelihood"]
    assert [(b["num_images"], b["importance_samples"]) for b in blocks] == [(8, 2), (4, 4)]


@pytest.fixture
def search_file(tiny_recipe_file, tmp_path):
    """A recipe whose images have a validation split."""
    recipe = json.loads(tiny_recipe_file.read_text())
    with np.load(recipe["dataset"]) as images:
        np.savez(tmp_path / "images.npz", train=images["train"], validation=images["test"])
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe | {"dataset": str(tmp_path / "images.npz")}))
    return path


def test_search_for_the_size_of_the_code(search_file, tmp_path, monkeypatch):
    out = tmp_path / "search"
    arguments = ["--latent-sizes", "2", "--images", 8, "--importance-samples", 2, "--quiet"]
    output = run("tune", search_file, "--out", out, *arguments)
    assert "Best: trial" in output and "latent_dim" in output
    train_nothing(monkeypatch)
    run("train", out / "best_recipe.json", "--out", tmp_path / "run", "--quiet")
    assert is_png(out / "curves.png") and is_png(out / "reconstructions.png")


def test_search_in_which_nothing_succeeds_says_so_and_fails(search_file, tmp_path, monkeypatch):
    from vlae_tf.tuning import recipe_tuner

    def fail(*_, **__):
        raise FloatingPointError("the loss is not finite")

    monkeypatch.setattr(recipe_tuner, "train", fail)
    arguments = ["tune", str(search_file), "--out", str(tmp_path / "search")]
    result = CliRunner().invoke(cli.app, [*arguments, "--latent-sizes", "1,2"])
    assert result.exit_code == 1
    assert "No trial of 2 succeeded." in result.output
    assert "the loss is not finite" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--latent-sizes", "two"], "JSON with commas"),
        (["--latent-sizes", "0"], "model.latent_dim` must be at least 1"),
        (["--latent-sizes", ""], "at least one value"),
        (["--choose", "learning_rate"], "FIELD=VALUE"),
        (["--latent-sizes", "2", "--choose", "model.latent_dim=4"], "each field once"),
        ([], "names a field"),
    ],
)
def test_search_that_cannot_be(search_file, tmp_path, arguments, words):
    with pytest.raises(ValueError, match=words):
        run("tune", search_file, "--out", tmp_path / "search", *arguments)
    assert not (tmp_path / "search").exists()


def test_pictures(tiny_zoo, tmp_path, loading):
    run("sample", "tiny", "--n", 3, "--out", tmp_path / "samples.png")
    run("reconstruct", "tiny", "--n", 2, "--out", tmp_path / "again.png")
    own = tmp_path / "own.npy"
    np.save(own, np.eye(8, dtype="uint8").reshape(1, 8, 8, 1))
    run("reconstruct", "tiny", "--images", own, "--out", tmp_path / "own.png")
    run("gibbs", "tiny", "--n", 2, "--steps", 3, "--out", tmp_path / "chain.png")
    run("gibbs", "tiny", "--noise", "--n", 2, "--steps", 1, "--out", tmp_path / "noise.png")
    for name in ("samples", "again", "own", "chain", "noise"):
        assert is_png(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match="`--noise` takes no images"):
        run("gibbs", "tiny", "--noise", "--images", own, "--out", tmp_path / "chain.png")


def test_export_of_an_entry(tiny_zoo, tmp_path, loading, monkeypatch):
    # What an export writes, and into which version, is tested with `saved_model`.
    calls = []

    def export(*arguments, **options):
        calls.append((arguments, options))
        return tmp_path / "served" / "1"

    monkeypatch.setattr("vlae_tf.saved_model.export", export)
    output = run("export", "tiny", tmp_path / "served", "--batch-sizes", "1,2")
    assert "served/1" in output.replace("\n", "")
    [((model, folder, version), options)] = calls
    assert model is zoo.load("tiny") and (folder, version) == (tmp_path / "served", None)
    assert (options["importance_samples"], options["batch_sizes"]) == (16, [1, 2])
    assert options["warmup_images"] is None and not options["xla"] and not options["png"]


def test_demo_compares_what_is_served(tiny_zoo, tmp_path, loading, monkeypatch):
    out = tmp_path / "demo"
    output = run("demo", "--out", out, "--entry", "tiny")
    assert "answers as the Python model does" in output
    assert is_png(out / "samples.png") and is_png(out / "reconstructions.png")
    served = out / "served" / "tiny" / "1"
    assert served.is_dir()

    # The same answers with other codes: as if the served model answered otherwise.
    wrong = (
        "import sys, numpy as np\n"
        "answer = dict(np.load(sys.argv[3]))\n"
        "np.savez(sys.argv[3], image=answer['image'], code=answer['code'] + 1.0)\n"
    )
    monkeypatch.setattr(demo, "_FRESH_PROCESS", wrong)
    with pytest.raises(RuntimeError, match="Received: codes that differ by 1"):
        demo._compare(zoo.load("tiny"), zoo.examples("tiny")[:16], served, out)


def test_demo_shows_an_entry_with_a_window(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(demo, "run", lambda entry, out, _: shown.append((entry, out)))
    run("demo", "--out", tmp_path)
    assert shown == [("mnist_static", tmp_path)]
    assert "whose window is" in zoo.info("mnist_static")["card"]


def test_the_table_goes_between_the_marks(tiny_zoo, tmp_path):
    readme = tmp_path / "README.md"
    begin, end = "<!-- results: written by `vlae-tf zoo table` -->", "<!-- end of results -->"
    readme.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    run("zoo", "table", "--readme", readme)
    text = readme.read_text()
    assert "old" not in text and "tiny" in text
    assert text.startswith("before\n") and text.endswith("after\n")
    readme.write_text("no marks")
    with pytest.raises(ValueError, match="`readme` must have the marks"):
        run("zoo", "table", "--readme", readme)
    assert readme.read_text() == "no marks"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sample", "clowntown"], "the zoo has tiny"),
        (["sample", "tiny", "--n", "0"], "`n` must be an integer, at least 1"),
        (
            ["sample", "tiny", "--temperature", "-1"],
            "`temperature` must be a finite number, at least 0",
        ),
        (["train", "clowntown", "--out", "run"], "one of the recipes"),
        (["train", "mnist_ladder", "--out", __file__], "`out` must be a folder, and none of its"),
        (["train", "mnist_ladder", "--out", f"{__file__}/run"], "Received: the file "),
        (
            ["tune", "mnist_static", "--latent-sizes", "2", "--out", __file__],
            "`out` must be a folder, and none of its parents a file. Received: the file",
        ),
        (
            ["evaluate", "tiny", "--importance-samples", "0", "--out", "again.json"],
            "`importance_samples` must be",
        ),
        (["evaluate", "tiny"], "`path` (--out) must be given for an entry of the zoo"),
        (["reconstruct", "tiny", "--images", "nowhere"], "nowhere"),
        (["export", "tiny", "out", "--dtype", "float16"], "`dtype` must be float32 or mixed_bf"),
        (
            ["export", "tiny", "a.tflite", "--format", "litert", "--version", "3"],
            "`--version` has no use for --format litert. Received: --version 3",
        ),
        (["export", "tiny", "a.onnx", "--format", "onnx", "--warmup"], "`--warmup` has no use"),
        (["export", "tiny", "out", "--signature", "decode"], "for --format tf_saved_model"),
        (["client", "http://x:1", "m", "sample", "--images", "d.npy"], "no use for sample"),
        (["client", "http://x:1", "m", "encode", "--seed", "1"], "no use for encode"),
        (["client", "http://x:1", "m", "draw"], "`signature` must be encode, decode, reconstruct"),
    ],
)
def test_a_mistake_is_one_line(tiny_zoo, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["vlae-tf", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith("Error:") and words in message and "Traceback" not in message


@pytest.mark.parametrize(
    "arguments", [["reconstruct", "tiny", "--n", "-3"], ["probe", "tiny", "--images", "0"]]
)
def test_a_number_of_images_is_positive(tiny_zoo, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 2 and f"'{arguments[2]}'" in result.output
    assert not list(tmp_path.glob("*.png"))


def test_what_stops_a_diverging_run_is_one_line(tiny_recipe_file, monkeypatch, capsys):
    def diverge(*_, **__):
        raise FloatingPointError("Training stopped at step 3. What helps: a lower learning rate.")

    monkeypatch.setattr("vlae_tf.training.train", diverge)
    monkeypatch.setattr(sys, "argv", ["vlae-tf", "train", str(tiny_recipe_file), "--out", "run"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith("Error: Training stopped at step 3.") and "Traceback" not in message


def test_a_run_among_the_entries_is_told_apart(tiny_zoo, tiny_run):
    shutil.copytree(tiny_run, tiny_zoo / "bare")
    lines = run("zoo", "list").splitlines()
    assert any("bare" in line and "not published" in line for line in lines)
    assert any("tiny" in line and "nats" in line for line in lines)


def test_examples_of_a_run_are_of_its_own_data(tiny_run, tmp_path):
    recipe = Recipe.load(tiny_run / "recipe.json")
    images = examples(tiny_run, "--images")
    expected = split_images(recipe, "test")[: len(images)]
    np.testing.assert_array_equal(images, expected)
    # Where the data are gone, the option is named.
    moved = shutil.copytree(tiny_run, tmp_path / "moved")
    (moved / "recipe.json").write_text(recipe.replace(dataset=str(tmp_path / "gone.npz")).to_json())
    with pytest.raises(ValueError, match="`--images` must name images, where .*gone.npz"):
        examples(moved, "--images")

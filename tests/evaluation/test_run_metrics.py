import functools
import hashlib
import json
import shutil

import numpy as np
import pytest

from tests.tiny import TINY_MODEL, random_images, tiny_recipe, untrained_run
from vlae_tf import catalogue
from vlae_tf.datasets import binarised
from vlae_tf.evaluation import evaluate, evaluate_run, probe_run, probe_rungs, write_metrics
from vlae_tf.evaluation.run_metrics import log_prob_path
from vlae_tf.files import sha256
from vlae_tf.runs import load_run

SHAPE = (4, 4, 1)
GREY = random_images(12, SHAPE, levels=256)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of runs on grey images, without the training, by seed and whether it is a control."""
    folder = tmp_path_factory.mktemp("runs")
    np.savez(folder / "images.npz", train=GREY[:4], test=GREY)
    likelihood = {"class_name": "BernoulliLikelihood"}
    recipe = tiny_recipe(
        folder / "images.npz",
        model=TINY_MODEL | {"likelihood_family": likelihood},
        binarise="dynamic",
    )

    @functools.cache
    def make(seed, control):
        chosen = recipe.replace(seed=seed)
        chosen = chosen.control() if control else chosen
        return untrained_run(folder / f"{seed} {control}", chosen, SHAPE)

    return make


@pytest.fixture
def make_run(runs, tmp_path):
    """Makes a copy of such a folder, over the one that was there."""

    def make(name="run", control=False, seed=0):
        return shutil.copytree(runs(seed, control), tmp_path / name, dirs_exist_ok=True)

    return make


@pytest.fixture(autouse=True)
def loading(load_once, monkeypatch):
    def load(folder, dtype):
        return load_once(folder, dtype), sha256(folder / "model.weights.h5")

    monkeypatch.setattr("vlae_tf.evaluation.run_metrics.load_hashed_run", load)


@pytest.mark.jax
def test_file_holds_the_figures_and_how_they_came_about(make_run, load_once):
    folder = make_run()
    metrics = evaluate_run(folder, importance_samples=3, seed=5, command="vlae-tf evaluate run")
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    weights = (folder / "model.weights.h5").read_bytes()
    assert metrics["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert (metrics["split"], metrics["binarisation"], metrics["seed"]) == ("test", "dynamic", 5)
    [block] = metrics["likelihood"]
    images = binarised(GREY, seed=5)
    expected = evaluate(load_once(folder, "float32"), images, importance_samples=3, seed=5)
    np.testing.assert_array_equal(np.load(folder / "metrics-12x3.npy"), expected.pop("log_prob"))
    assert block == {**expected, "command": "vlae-tf evaluate run"}
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "metrics-12x3.npy",
        "metrics.json",
        "model.weights.h5",
        "recipe.json",
    ]


def test_further_blocks_stand_beside_the_first(make_run):
    folder = make_run()
    sizes = [(5, 4), (None, 3), (5, 2), (5, 4)]
    for number, (num_images, samples) in enumerate(sizes):
        metrics = evaluate_run(
            folder, num_images=num_images, importance_samples=samples, command=str(number)
        )
    held = [(b["num_images"], b["importance_samples"], b["command"]) for b in metrics["likelihood"]]
    assert held == [(12, 3, "1"), (5, 4, "3"), (5, 2, "2")]
    for block in metrics["likelihood"]:
        log_prob = np.load(log_prob_path(folder / "metrics.json", block))
        assert log_prob.shape == (block["num_images"],)
        assert -log_prob.mean() == pytest.approx(block["nll"])


def test_fewer_images_are_not_the_first_and_keep_their_noise(make_run, monkeypatch):
    calls = []

    def spy(model, images, importance_samples, seeds, *args):
        calls.append((images, seeds))
        return evaluate(model, images, importance_samples, seeds, *args)

    monkeypatch.setattr("vlae_tf.evaluation.run_metrics.evaluate", spy)
    folder = make_run()
    for num_images in (None, 5, 7):
        evaluate_run(folder, num_images=num_images, importance_samples=1)
    (everything, seeds), (five, five_seeds), (seven, seven_seeds) = calls
    index = {int(seed): row for row, seed in enumerate(seeds)}
    rows = [index[int(seed)] for seed in five_seeds]
    np.testing.assert_array_equal(five, everything[rows])
    assert rows != list(range(5))
    assert set(five_seeds) < set(seven_seeds)


def test_control_stands_beside(make_run):
    folder, control = make_run(), make_run("control", control=True)
    metrics = evaluate_run(folder, importance_samples=2, control=control)
    beside = metrics["control"]
    weights = (control / "model.weights.h5").read_bytes()
    assert beside["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert beside["gain"] == pytest.approx(beside["nll"] - metrics["likelihood"][0]["nll"])
    assert "trained" not in beside
    # It stays when only another block is added.
    assert evaluate_run(folder, num_images=3, importance_samples=2)["control"] == beside


def test_control_says_how_it_was_trained(make_run):
    folder, control = make_run(), make_run("control", control=True)
    part = {"first_epoch": 0, "epochs": 7, "wall_time_s": 1.0, "backend": "jax"}
    part["hardware"] = {"cpu": "a processor", "cores": 2}
    commands = ("vlae-tf train it", "vlae-tf train it again")
    parts = [part | {"command": command} for command in commands]
    record = {"parameters": 9, "epochs": 7, "wall_time_s": 1.0, "parts": parts}
    (control / "run.json").write_text(json.dumps(record))
    beside = evaluate_run(folder, importance_samples=2, control=control)["control"]
    assert (beside["epochs"], beside["trained"]) == (7, "vlae-tf train it again")


@pytest.mark.parametrize(
    ("key", "changed", "words"),
    [
        ("binarise", "static", "binarisation='static' in place of 'dynamic'"),
        ("dataset", "mnist_static", "dataset='mnist_static' in place of"),
        ("model", {"latent_dim": 2}, "likelihood_family=None in place of {'class_name': 'Berno"),
    ],
)
def test_control_of_something_else_is_refused(make_run, key, changed, words):
    folder, control = make_run(), make_run("control", control=True)
    recipe = json.loads((control / "recipe.json").read_text())
    (control / "recipe.json").write_text(json.dumps({**recipe, key: changed}))
    with pytest.raises(ValueError, match=words):
        evaluate_run(folder, importance_samples=2, control=control)
    assert not (folder / "metrics.json").exists()


def test_figures_of_other_weights_are_dropped(make_run):
    evaluate_run(make_run(), importance_samples=2)
    metrics = evaluate_run(make_run(seed=1), importance_samples=3)
    assert [block["importance_samples"] for block in metrics["likelihood"]] == [3]


def test_other_conditions_need_another_file(make_run):
    folder = make_run()
    evaluate_run(folder, importance_samples=2)
    before = (folder / "metrics.json").read_text()
    with pytest.raises(ValueError, match="another file.*split='test', seed=0.*'train', seed=1"):
        evaluate_run(folder, importance_samples=2, split="train", seed=1)
    assert (folder / "metrics.json").read_text() == before
    other = evaluate_run(folder, folder / "train.json", split="train", importance_samples=2)
    assert other["split"] == "train"


@pytest.mark.parametrize("num_images", [0, 13, 2.5])
def test_refuses_a_number_of_images_that_there_is_not(make_run, num_images):
    with pytest.raises(ValueError, match=f"least 1 and less than 13.*num_images={num_images}"):
        evaluate_run(make_run(), num_images=num_images, importance_samples=1)


@pytest.mark.parametrize("content", ["not JSON", "{}", "[]"])
def test_refuses_to_overwrite_another_file(make_run, content):
    folder = make_run()
    (folder / "metrics.json").write_text(content)
    with pytest.raises(ValueError, match="metrics.json cannot be read as the metrics of a model"):
        evaluate_run(folder, importance_samples=1)
    assert (folder / "metrics.json").read_text() == content


def test_weights_that_give_no_figures_leave_the_file(make_run):
    folder = make_run()
    evaluate_run(folder, importance_samples=1)
    before = (folder / "metrics.json").read_text()
    model = load_run(folder)
    model.set_weights([w * np.nan if w.ndim else w for w in model.get_weights()])
    model.save_weights(folder / "model.weights.h5", overwrite=True)
    with pytest.raises(ValueError, match="Every figure must be finite"):
        evaluate_run(folder, importance_samples=1)
    assert (folder / "metrics.json").read_text() == before


def test_killed_run_goes_on_to_the_same_file(make_run, monkeypatch):
    monkeypatch.setattr("vlae_tf.models.importance.SAVE_EVERY", 1)
    folder = make_run()
    expected = evaluate_run(folder, folder / "whole.json", importance_samples=2, batch_size=2)

    def killed_at_half(done, total):
        if done == total // 2:
            raise KeyboardInterrupt

    arguments = {"importance_samples": 2, "batch_size": 2}
    with pytest.raises(KeyboardInterrupt):
        evaluate_run(folder, **arguments, progress=killed_at_half)
    [partial] = folder.glob("partial-metrics-*.npy")
    assert not (folder / "metrics.json").exists()
    # Another evaluation, made in the meantime, takes nothing away.
    evaluate_run(folder, num_images=3, importance_samples=1)
    assert [*folder.glob("partial-*")] == [partial]
    seen = []
    again = evaluate_run(folder, **arguments, progress=lambda done, total: seen.append(done))
    assert again | {"likelihood": again["likelihood"][:1]} == expected
    assert min(seen) == 12  # of 24 pairs
    assert not [*folder.glob("partial-*")]


def test_evaluations_at_work_at_once_all_come_into_the_file(make_run):
    folder, control = make_run(), make_run("control", control=True)

    def meanwhile(done, total):
        if done == total // 2:
            evaluate_run(folder, num_images=5, importance_samples=3, control=control)

    metrics = evaluate_run(folder, importance_samples=2, batch_size=2, progress=meanwhile)
    held = [(b["num_images"], b["importance_samples"]) for b in metrics["likelihood"]]
    assert held == [(12, 2), (5, 3)] and metrics["control"]["num_images"] == 5
    assert json.loads((folder / "metrics.json").read_text()) == metrics


def test_weights_that_change_while_they_are_loaded_are_loaded_again(make_run, monkeypatch):
    monkeypatch.undo()  # loads each time
    folder, calls = make_run(), []

    def an_epoch_ends(*arguments):
        model = load_run(*arguments)
        if not calls:
            make_run(seed=1)  # the run writes its next weights
        calls.append(model)
        return model

    monkeypatch.setattr("vlae_tf.runs.load.load_run", an_epoch_ends)
    metrics = evaluate_run(folder, importance_samples=2)
    weights = (folder / "model.weights.h5").read_bytes()
    assert metrics["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    monkeypatch.undo()
    assert evaluate_run(folder, importance_samples=2) == metrics


def test_a_write_that_fails_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_metrics(path, {"nll": 1.0})

    def full_disk(path, *args, **kwargs):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_metrics(path, {"nll": 2.0})
    assert json.loads(path.read_text()) == {"nll": 1.0}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("measure", [evaluate_run, probe_run, probe_rungs])
def test_published_figures_are_not_written_over(measure):
    with pytest.raises(ValueError, match=r"`path` .* must be given for an entry of the zoo"):
        measure(catalogue.locate("mnist_ladder"))

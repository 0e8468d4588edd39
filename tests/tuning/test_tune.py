"""Searches as a whole: what they leave, and that a killed one continues to the same result."""

import csv
import html.parser
import json
import math
import os
import signal
import socket
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from keras_tuner.src.distribute import oracle_chief
from PIL import Image

import vlae_tf
from tests.tiny import tiny_recipe, write_images
from tests.tuning.conftest import MODEL
from vlae_tf.evaluation import write_metrics
from vlae_tf.files import locked
from vlae_tf.runs import Recipe
from vlae_tf.tuning import recipe_tuner, tune

pytestmark = pytest.mark.slow

SIZES = [1, 2]
CHOICES = {"model.latent_dim": SIZES}
SMALL = {"importance_samples": 2, "num_images": 8, "verbose": 0, "say": lambda text: None}


@pytest.fixture(scope="module")
def searched(recipe, tmp_path_factory):
    """The folder of an uninterrupted search and its results. To be left as they are."""
    out = tmp_path_factory.mktemp("searched") / "search"
    return out, tune(recipe, CHOICES, out, command="a test", **SMALL)


def trials(out):
    with (out / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def without_time(rows):
    return [{k: v for k, v in row.items() if k != "minutes"} for row in rows]


# === What a search leaves ===


def test_every_size_was_trained_and_measured(searched):
    out, results = searched
    assert [result.values["model.latent_dim"] for result in results] == SIZES
    assert [result.status for result in results] == ["completed"] * 2
    assert [result.latent_dim for result in results.of_each_size] == SIZES
    assert results.best.score == min(result.metrics["nll"] for result in results)
    for result in results:
        measured = json.loads((result.folder / "metrics.json").read_text())
        assert (measured["split"], measured["likelihood"][0]["num_images"]) == ("validation", 8)
        assert measured["likelihood"][0]["nll"] == pytest.approx(result.metrics["nll"])
        assert Recipe.load(result.folder / "recipe.json").train_split == "train"


def test_table_has_a_row_for_each_trial(searched):
    out, results = searched
    rows = trials(out)
    assert [int(row["model.latent_dim"]) for row in rows] == SIZES
    assert [float(row["nll"]) for row in rows] == [r.metrics["nll"] for r in results]


def test_best_recipe_is_the_recipe_with_the_best_size(searched, recipe):
    out, results = searched
    best = Recipe.load(out / "best_recipe.json")
    assert best.model["latent_dim"] == results.best.latent_dim
    model = {**best.model, "latent_dim": recipe.model["latent_dim"]}
    assert best.replace(model=model).differences(recipe) == []
    assert "a test" in best.notes


def test_report_stands_alone(searched):
    out, results = searched
    sources, words = [], []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            sources.extend(v for k, v in attributes if k in ("src", "href"))

        def handle_data(self, data):
            words.append(data)

    Parser().feed((out / "report.html").read_text())
    assert len(sources) == 2 and all(s.startswith("data:image/png;base64,") for s in sources)
    text = " ".join(words)
    for result in results:
        assert f"{result.metrics['nll']:.2f}" in text
    assert "a test" in text and results.conclusion[0] in text


def test_pictures_have_a_row_for_each_size(searched):
    out, _ = searched
    with Image.open(out / "reconstructions.png") as picture:
        # Originals and two sizes; two pixels a pixel, and a line between the images.
        assert picture.height == 2 * (3 * 9 - 1)
    with Image.open(out / "curves.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 0


def test_finished_search_is_left_as_it_is(searched, recipe):
    out, results = searched
    files = [path for path in out.rglob("*") if path.suffix in (".h5", ".csv")]
    before = {path: path.read_bytes() for path in files}
    again = tune(recipe, CHOICES, out, command="a test", **SMALL)
    assert list(again) == list(results)
    assert {path: path.read_bytes() for path in files} == before


# === Interruptions ===


def test_time_limit_stops_in_a_trial_which_continues_later(searched, recipe, tmp_path, monkeypatch):
    clock = types.SimpleNamespace(now=0.0, monotonic=lambda: clock.now)

    def an_hour_passes(text):
        clock.now += 3600

    with monkeypatch.context() as patch:
        patch.setattr(recipe_tuner, "time", clock)
        arguments = SMALL | {"say": an_hour_passes}
        results = tune(recipe, CHOICES, tmp_path, max_minutes=30, **arguments)
    assert [result.status for result in results] == ["unfinished"], "no other trial began"
    assert results.best is None and "1 of 1 trials did not finish." in results.conclusion
    assert len((tmp_path / "trials" / "trial_0000" / "history.csv").read_text().split()) == 2
    result, _ = tune(recipe, CHOICES, tmp_path, command="a test", **SMALL)
    assert result.completed
    record = json.loads((result.folder / "run.json").read_text())
    assert [part["epochs"] for part in record["parts"]] == [1, 1]
    assert without_time(trials(tmp_path)) == without_time(trials(searched[0]))


@pytest.fixture(scope="module")
def run_elsewhere(recipe, tmp_path_factory):
    """Runs a search in a process of its own, and returns its exit code."""
    path = tmp_path_factory.mktemp("recipe") / "recipe.json"
    path.write_text(recipe.to_json())
    search_path = os.pathsep.join([str(Path(vlae_tf.__file__).parents[1]), *sys.path])
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("search_process.py")],
        env=os.environ | {"PYTHONPATH": search_path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(out, kill_at=0, **environment):
            job = {"recipe": str(path), "out": str(out), "kill_at": kill_at}
            print(json.dumps(job | {"environment": environment}), file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield run


IN_THE_SECOND_EPOCH_OF_THE_SECOND_TRIAL = 4 + 3


def check_continued(out, searched):
    """The search was killed at that step, and has the result of one that was not."""
    assert without_time(trials(out)) == without_time(trials(searched[0]))
    record = json.loads((out / "trials" / "trial_0001" / "run.json").read_text())
    assert [part["first_epoch"] for part in record["parts"]] == [0, 1], "one epoch was kept"
    ended = json.loads((out / "trials" / "oracle.json").read_text())["end_order"]
    assert ended == ["0000", "0001"]
    assert (out / "report.html").exists()


def test_killed_search_continues_to_the_same_result(searched, recipe, tmp_path, run_elsewhere):
    killed = run_elsewhere(tmp_path, IN_THE_SECOND_EPOCH_OF_THE_SECOND_TRIAL)
    assert killed == -signal.SIGKILL
    tune(recipe, CHOICES, tmp_path, command="a test", **SMALL)
    check_continued(tmp_path, searched)


def test_search_of_a_chief_whose_worker_is_killed_and_started_again(
    searched, recipe, tmp_path, run_elsewhere, monkeypatch
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    worker = address | {"KERASTUNER_TUNER_ID": "worker0"}
    kills, ends = iter([IN_THE_SECOND_EPOCH_OF_THE_SECOND_TRIAL, 0]), []

    def sleep(seconds):
        """What happens while the chief waits."""
        ends.append(run_elsewhere(tmp_path, next(kills), **worker))

    monkeypatch.setattr(oracle_chief, "time", types.SimpleNamespace(sleep=sleep))
    for name, value in (address | {"KERASTUNER_TUNER_ID": "chief"}).items():
        monkeypatch.setenv(name, value)
    tune(recipe, CHOICES, tmp_path, command="a test", **SMALL)
    assert ends == [-signal.SIGKILL, 0]
    check_continued(tmp_path, searched)


# === Failures ===


@pytest.fixture
def measured(monkeypatch):
    """Trials are not trained; their figures are what the test puts in here, by size of the code."""
    figures, sizes = {}, []

    def evaluate(folder, **_):
        plain = {"nll": 80.0, "elbo": -81.0, "bits_per_dim": 0.2, "code_bits": 9.0}
        plain |= {"nll_standard_error": 0.5, "num_images": 8, "importance_samples": 2}
        block = plain | {"active_units": 1} | figures.get(sizes[-1], {})
        if "log_prob" in block:
            np.save(folder / "metrics-8x2.npy", block.pop("log_prob"))
            told = {"dataset": "images.npz", "split": "validation", "binarisation": "static"}
            told |= {"seed": 0, "weights_sha256": "0" * 64}
            block |= {"reconstruction": -70.0, "kl": 9.0, "dtype": "float32"}
            write_metrics(folder / "metrics.json", told | {"likelihood": [block]})
        return {"likelihood": [block]}

    def train(recipe, *_, **__):
        sizes.append(recipe.model["latent_dim"])

    monkeypatch.setattr(recipe_tuner, "train", train)
    monkeypatch.setattr(recipe_tuner, "evaluate_run", evaluate)
    return figures


def test_failed_trial_is_reported_and_never_scored(recipe, tmp_path, measured, monkeypatch):
    # Five halvings of 8 pixels: found to be too many when the model is built.
    choices = {"model.decoder.filters": [[2], [2, 2, 2, 2, 2]]}
    said, train = [], recipe_tuner.train

    def build(recipe, *_, **__):
        recipe.build_model((8, 8, 1))
        train(recipe)

    monkeypatch.setattr(recipe_tuner, "train", build)
    results = tune(recipe, choices, tmp_path, **SMALL | {"say": said.append})
    good, bad = results
    assert good.completed and results.best is good
    assert (bad.status, bad.score, bad.metrics) == ("failed", None, {})
    assert bad.error and bad.error in "".join(said) + (bad.folder / "error.txt").read_text()
    assert trials(tmp_path)[1]["error"] == bad.error
    assert "1 of 2 trials failed." in results.conclusion


@pytest.mark.parametrize(("objective", "sign"), [("nll", 1), ("elbo", -1)])
def test_score_that_is_not_finite_is_a_failure(recipe, tmp_path, measured, objective, sign):
    values = {1: math.nan, 2: -math.inf, 3: math.inf, 4: 70.0}
    measured.update({size: {objective: sign * value} for size, value in values.items()})
    choices = {"model.latent_dim": [5, *values]}
    results = tune(recipe, choices, tmp_path, objective=objective, **SMALL)
    assert [r.status for r in results] == ["completed", "failed", "failed", "failed", "completed"]
    assert results.best.latent_dim == 4
    assert Recipe.load(tmp_path / "best_recipe.json").model["latent_dim"] == 4
    assert all("the score is not finite" in result.error for result in results[1:4])
    files = sorted((tmp_path / "trials").glob("trial_*/trial.json"))
    assert [json.loads(file.read_text())["status"] for file in files].count("FAILED") == 3


def test_search_in_which_nothing_succeeds(recipe, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise FloatingPointError("the loss is not finite: <nan> & co")

    monkeypatch.setattr(recipe_tuner, "train", fail)
    results = tune(recipe, {"model.latent_dim": [1, 2, 3, 4, 5]}, tmp_path, **SMALL)
    assert [result.status for result in results] == ["failed"] * 5, "all were tried"
    assert results.best is None and results.conclusion[0] == "No trial of 5 succeeded."
    assert "the loss is not finite: &lt;nan&gt; &amp; co" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "best_recipe.json").exists()


def test_no_code_within_the_limit(recipe, tmp_path, measured):
    arguments = {"objective": "rate_distortion", "max_code_bits": 1e-6}
    results = tune(recipe, {"model.latent_dim": [2]}, tmp_path, **arguments, **SMALL)
    assert results.completed and results.best is None
    assert results.conclusion[0].startswith("No code was within the limit of 1e-06 bits")
    assert not (tmp_path / "best_recipe.json").exists()


def test_small_code_is_enough_where_the_largest_is_no_better_image_by_image(
    recipe, tmp_path, measured
):
    # Images differ by hundreds of nats, trials of one image by one.
    images = np.random.default_rng(0).normal(80, 300, 8)
    noise = np.random.default_rng(1).normal(0, 1, 8)
    noise -= noise.mean()
    for size, more in {2: 5 + noise, 4: 0.1 + noise, 8: np.zeros(8)}.items():
        nll = images + more
        measured[size] = {"nll": float(nll.mean()), "log_prob": -nll}
    results = tune(recipe, {"model.latent_dim": [2, 4, 8]}, tmp_path, **SMALL)
    far, near, lowest = results
    assert results.behind(lowest) is None
    assert results.behind(far) == pytest.approx((5, noise.std(ddof=1) / 8**0.5))
    assert "has 4 numbers" in results.conclusion[-1]
    page = (tmp_path / "report.html").read_text()
    assert f"{5:.2f} ± {noise.std(ddof=1) / 8**0.5:.2f}" in page
    # Without the log-probabilities of a trial nothing is said of it.
    next(far.folder.glob("*.npy")).unlink()
    assert results.behind(far) is None
    assert not any("two standard errors" in sentence for sentence in results.conclusion)


def test_search_over_colour_images_tells_bits_per_dim(tmp_path, measured):
    images = write_images(tmp_path / "colour.npz", 256, (8, 8, 3), train=4, validation=4)
    likelihood = {"class_name": "LogisticMixtureLikelihood", "config": {"components": 2}}
    recipe = tiny_recipe(images, model=MODEL | {"likelihood_family": likelihood})
    for size, bits in {2: 3.4567, 4: 3.3456}.items():
        nll = bits * 192 * np.log(2)
        measured[size] = {"nll": float(nll), "elbo": -float(nll), "bits_per_dim": bits}
        measured[size]["log_prob"] = -nll + np.arange(-3.5, 4)
    out = tmp_path / "search"
    results = tune(recipe, {"model.latent_dim": [2, 4]}, out, command="a word " * 80, **SMALL)
    assert results.behind(results[0]) == pytest.approx((0.1111, 0), abs=1e-9)
    page = (out / "report.html").read_text()
    for told in ("NLL (bits/dim)", "3.4567 ± ", "0.1111 ± 0.0000", "a word " * 80):
        assert told in page
    assert "nats" not in page and "3.3456 bits/dim" in results.conclusion[0]
    assert float(trials(out)[0]["nll"]) == pytest.approx(3.4567 * 192 * np.log(2))


# === Before any trial ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "likelihood"}, "`objective` must be one of"),
        ({"algorithm": "guess"}, "`algorithm` must be one of 'grid', 'random', 'bayesian'"),
        ({"max_trials": 0}, "`max_trials` must be an integer, at least 1"),
        ({"max_minutes": -1}, "`max_minutes` must be a finite number, greater than 0"),
        ({"num_images": 0}, "`num_images` must be an integer, at least 1"),
        ({"importance_samples": 0}, "`importance_samples` must be an integer, at least 1"),
        ({"epochs": 0}, "`epochs` must be .*at least 1"),
        ({"choices": {"model.latent_dim": [0]}}, "model.latent_dim.* must be "),
    ],
)
def test_invalid_arguments(recipe, tmp_path, arguments, message):
    choices = arguments.pop("choices", CHOICES)
    with pytest.raises(ValueError, match=message):
        tune(recipe, choices, tmp_path / "search", **SMALL | arguments)
    assert not (tmp_path / "search").exists()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"TUNER_ID": "worker0"}, "Received: no KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT"),
        ({"TUNER_ID": "worker0", "ORACLE_IP": "localhost"}, "Received: no KERASTUNER_ORACLE_PORT"),
        (
            {"TUNER_ID": "chief", "ORACLE_IP": "localhost", "ORACLE_PORT": "1"},
            "`max_minutes` must be None for a chief",
        ),
    ],
)
def test_invalid_environment(recipe, tmp_path, monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(f"KERASTUNER_{name}", value)
    with pytest.raises(ValueError, match=message):
        tune(recipe, CHOICES, tmp_path / "search", max_minutes=1, **SMALL)
    assert not (tmp_path / "search").exists()


def test_images_that_do_not_fit_the_model(recipe, tmp_path):
    odd = np.zeros((4, 7, 8, 1), "uint8")
    np.savez(tmp_path / "odd.npz", train=odd, validation=odd)
    model = {**recipe.model, "image_shape": [8, 8, 1]}
    other = recipe.replace(dataset=str(tmp_path / "odd.npz"), model=model)
    with pytest.raises(ValueError, match="(?s)7.*8"):
        tune(other, CHOICES, tmp_path / "search", **SMALL)
    assert not (tmp_path / "search").exists()


def test_data_without_a_validation_split(recipe, tmp_path):
    np.savez(tmp_path / "images.npz", train=np.zeros((4, 8, 8, 1), "uint8"))
    other = recipe.replace(dataset=str(tmp_path / "images.npz"))
    with pytest.raises(ValueError, match="validation"):
        tune(other, CHOICES, tmp_path / "search", **SMALL)
    assert not (tmp_path / "search").exists()


def test_a_folder_is_searched_by_one_process(searched, recipe):
    out, _ = searched
    with locked(out) as alone, pytest.raises(ValueError, match="`out` must be a folder in which"):
        assert alone
        tune(recipe, CHOICES, out, command="a test", **SMALL)


def test_folder_of_another_search(searched, recipe):
    with pytest.raises(ValueError, match="same search.*differs in choices"):
        tune(recipe, {"model.latent_dim": [1, 3]}, searched[0], **SMALL)

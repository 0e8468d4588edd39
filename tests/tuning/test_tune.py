"""Searches as a whole: what they leave behind, and that a killed one goes on to the same result."""

import csv
import dataclasses
import html.parser
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vlae_tf
from vlae_tf.runs import Recipe
from vlae_tf.training import train
from vlae_tf.tuning import recipe_tuner, search, search_oracle, tune

SIZES = [1, 2, 3]
SMALL = {"importance_samples": 2, "num_images": 8, "verbose": 0, "say": lambda text: None}


@pytest.fixture(scope="module")
def searched(recipe, tmp_path_factory):
    """The folder of an uninterrupted search and its results. To be left as they are."""
    out = tmp_path_factory.mktemp("searched") / "search"
    command = "a search in a test"
    return out, tune(recipe, {"model.latent_dim": SIZES}, out, command=command, **SMALL)


def start(recipe, out, role="alone", address="-", kill_at=0):
    path = out.parent / "recipe.json"
    if not path.exists():
        path.write_text(recipe.to_json())
    search_path = [str(Path(vlae_tf.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("search_process.py")]
        + [path, out, role, address, str(kill_at)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(search_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def trials(out):
    with (out / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def without_time(rows):
    return [{k: v for k, v in row.items() if k != "minutes"} for row in rows]


# === What a search leaves ===


def test_every_size_was_trained_and_measured(searched):
    out, results = searched
    assert [result.values["model.latent_dim"] for result in results] == SIZES
    assert [result.status for result in results] == ["completed"] * 3
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


def test_best_recipe_is_the_recipe_with_the_best_size(searched, recipe, tmp_path):
    out, results = searched
    best = Recipe.load(out / "best_recipe.json")
    assert best.model["latent_dim"] == results.best.latent_dim
    model = {**best.model, "latent_dim": recipe.model["latent_dim"]}
    assert dataclasses.replace(best, model=model).differences(recipe) == []
    assert "a search in a test" in best.notes
    train(dataclasses.replace(best, epochs=1), tmp_path, verbose=0)


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
    assert "a search in a test" in text and results.conclusion[0] in text


def test_pictures_have_a_row_for_each_size(searched):
    out, _ = searched
    with Image.open(out / "reconstructions.png") as picture:
        # Originals and three sizes; two pixels a pixel, and a line between the images.
        assert picture.height == 2 * (4 * 9 - 1)
    with Image.open(out / "curves.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 0


def test_finished_search_is_left_as_it_is(searched, recipe):
    out, results = searched
    files = [path for path in out.rglob("*") if path.suffix in (".h5", ".csv")]
    before = {path: path.read_bytes() for path in files}
    again = tune(recipe, {"model.latent_dim": SIZES}, out, command="a search in a test", **SMALL)
    assert list(again) == list(results)
    assert {path: path.read_bytes() for path in files} == before


# === Interruptions ===


@pytest.mark.slow
def test_killed_search_goes_on_to_the_same_result(searched, recipe, tmp_path):
    out = tmp_path / "search"
    process = start(recipe, out, kill_at=8 + 6)  # in the second epoch of the second trial
    printed, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, printed
    process = start(recipe, out)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    assert without_time(trials(out)) == without_time(trials(searched[0]))
    record = json.loads((out / "trials" / "trial_0001" / "run.json").read_text())
    assert [part["first_epoch"] for part in record["parts"]] == [0, 1], "one epoch was kept"


def test_time_budget_stops_in_a_trial_which_goes_on_later(recipe, tmp_path, monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock, choices = Clock(), {"model.latent_dim": [2]}

    def an_hour_passes(text):
        clock.now += 3600

    with monkeypatch.context() as patch:
        for module in (recipe_tuner, search, search_oracle):
            patch.setattr(module, "time", clock)
        arguments = SMALL | {"say": an_hour_passes}
        results = tune(recipe, choices, tmp_path, max_minutes=30, **arguments)
    assert [result.status for result in results] == ["unfinished"]
    assert results.best is None and "1 of 1 trials did not finish." in results.conclusion
    assert len((tmp_path / "trials" / "trial_0000" / "history.csv").read_text().split()) == 2
    (result,) = tune(recipe, choices, tmp_path, **SMALL)
    assert result.completed
    record = json.loads((result.folder / "run.json").read_text())
    assert [part["epochs"] for part in record["parts"]] == [1, 1]


# === Failures ===


def test_failed_trial_is_reported_and_never_scored(recipe, tmp_path):
    # Three channels for six outputs of the first layer cannot be: found when the model is built.
    choices = {"model.decoder.filters": [[2], [2, 2, 2, 2, 2]]}
    said = []
    results = tune(recipe, choices, tmp_path, **SMALL | {"say": said.append})
    good, bad = results
    assert good.completed and results.best is good
    assert (bad.status, bad.score, bad.metrics) == ("failed", None, {})
    assert bad.error and bad.error in "".join(said) + (bad.folder / "error.txt").read_text()
    assert trials(tmp_path)[1]["error"] == bad.error
    assert "1 of 2 trials failed." in results.conclusion


def test_search_in_which_nothing_succeeds(recipe, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise FloatingPointError("the loss is not finite")

    monkeypatch.setattr(recipe_tuner, "train", fail)
    results = tune(recipe, {"model.latent_dim": [1, 2, 3, 4, 5]}, tmp_path, **SMALL)
    assert [result.status for result in results] == ["failed"] * 5, "all were tried"
    assert results.best is None and results.conclusion[0] == "No trial of 5 succeeded."
    assert "the loss is not finite" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "best_recipe.json").exists()


def test_no_code_within_the_limit(recipe, tmp_path):
    arguments = {"objective": "rate_distortion", "max_code_bits": 1e-6}
    results = tune(recipe, {"model.latent_dim": [2]}, tmp_path, **arguments, **SMALL)
    assert results.completed and results.best is None
    assert results.conclusion[0].startswith("No code was within the limit of 1e-06 bits")
    assert not (tmp_path / "best_recipe.json").exists()


# === Before any trial ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "likelihood"}, "`objective` must be one of"),
        ({"algorithm": "guess"}, "`algorithm` must be one of grid, random, bayesian"),
        ({"max_trials": 0}, "`max_trials` must be positive"),
        ({"max_minutes": -1}, "`max_minutes` must be positive"),
        ({"num_images": 0}, "`num_images` must be positive"),
        ({"importance_samples": 0}, "`importance_samples` must be positive"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"worker": True}, "needs the address of its `chief`"),
        ({"chief": "localhost"}, "`chief` must be host:port"),
        ({"choices": {"model.latent_dim": [0]}}, "integers of at least 1"),
    ],
)
def test_arguments_that_cannot_be(recipe, tmp_path, arguments, message):
    choices = arguments.pop("choices", {"model.latent_dim": SIZES})
    with pytest.raises(ValueError, match=message):
        tune(recipe, choices, tmp_path / "search", **SMALL | arguments)
    assert not (tmp_path / "search").exists()


def test_images_that_do_not_fit_the_model(recipe, tmp_path):
    odd = np.zeros((4, 7, 8, 1), "uint8")
    np.savez(tmp_path / "odd.npz", train=odd, validation=odd)
    model = {**recipe.model, "image_shape": [8, 8, 1]}
    other = dataclasses.replace(recipe, dataset=str(tmp_path / "odd.npz"), model=model)
    with pytest.raises(ValueError, match="(?s)7.*8"):
        tune(other, {"model.latent_dim": SIZES}, tmp_path / "search", **SMALL)
    assert not (tmp_path / "search").exists()


def test_data_without_a_validation_split(recipe, tmp_path):
    np.savez(tmp_path / "images.npz", train=np.zeros((4, 8, 8, 1), "uint8"))
    other = dataclasses.replace(recipe, dataset=str(tmp_path / "images.npz"))
    with pytest.raises(ValueError, match="validation"):
        tune(other, {"model.latent_dim": SIZES}, tmp_path / "search", **SMALL)
    assert not (tmp_path / "search").exists()


def test_folder_of_another_search(searched, recipe):
    with pytest.raises(ValueError, match="same search.*differs in choices"):
        tune(recipe, {"model.latent_dim": [1, 2]}, searched[0], **SMALL)


# === Chief and workers ===


@pytest.mark.slow
def test_search_with_two_workers_of_which_one_is_killed(searched, recipe, tmp_path):
    out = tmp_path / "search"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    chief = start(recipe, out, "chief", address)
    doomed = start(recipe, out, "worker", address, kill_at=6)  # in its first trial
    worker = start(recipe, out, "worker", address)
    try:
        printed, _ = doomed.communicate(timeout=120)
        assert doomed.returncode == -signal.SIGKILL, printed
        for process in (worker, chief):
            printed, _ = process.communicate(timeout=180)
            assert process.returncode == 0, printed
    finally:
        for process in (chief, doomed, worker):
            process.kill()
    rows = trials(out)
    assert [row["status"] for row in rows] == ["completed"] * 3
    # Trials may begin in another order.
    found = {row["model.latent_dim"]: float(row["nll"]) for row in rows}
    expected = {row["model.latent_dim"]: float(row["nll"]) for row in trials(searched[0])}
    assert found == expected
    ended = json.loads((out / "trials" / "oracle.json").read_text())["end_order"]
    assert sorted(ended) == ["0000", "0001", "0002"]
    assert (out / "report.html").exists()

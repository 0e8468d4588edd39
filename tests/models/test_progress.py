"""Progress: one line of a terminal, at most 80 characters; nothing where it is not asked for."""

import keras
import pytest

from tests.tiny import random_images, tiny_model
from vlae_tf.models import progress

pytestmark = [pytest.mark.jax, pytest.mark.usefixtures("eager")]

IMAGES = random_images(64)


@pytest.fixture(scope="module")
def model():
    model = tiny_model()
    model.compile("sgd")
    return model


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns, on which every step is drawn."""
    monkeypatch.setattr(progress, "_on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(progress, "_INTERVAL", 0)


def lines(text):
    """What stays on the terminal, and what was drawn in all."""
    for line in text.split("\n"):
        assert all(len(drawn) <= 80 for drawn in line.split("\r"))
    return [line.split("\r")[-1] for line in text.split("\n") if line], text.count("\r")


def test_an_epoch_is_one_line_and_no_term_is_told_twice(model, terminal, capsys):
    model.fit(IMAGES, epochs=2, batch_size=4, validation_data=IMAGES[:8])
    stays, drawn = lines(capsys.readouterr().out)
    first, about, *epochs = stays
    parameters = model.count_params()
    assert first == f"{parameters:,} parameters, 16 steps an epoch, 2 epochs"
    assert about.startswith("about ") and "to go, at" in about and drawn > 32
    for number, line in enumerate(epochs, 1):
        assert line.startswith(f"epoch {number}/2  ")
        for name in ("loss", "bits/dim", "code bits", "val loss"):
            assert line.count(f" {name}") == 1 + (name == "loss")
        assert "elbo" not in line and "kl" not in line
    assert len(epochs) == 2


def test_elsewhere_than_on_a_terminal_only_whole_epochs_are_told(model, capsys):
    for verbose in (1, 2):
        model.fit(IMAGES[:8], batch_size=4, verbose=verbose)
        model.evaluate(IMAGES[:8], verbose=verbose)
        stays, drawn = lines(capsys.readouterr().out)
        assert [line.split()[0] for line in stays[1:]] == ["epoch", "evaluate"] and drawn == 0


def test_silence_where_it_is_asked_for(model, terminal, capsys):
    model.fit(IMAGES[:8], verbose=0)
    model.evaluate(IMAGES[:8], verbose=0)
    model.encode(IMAGES), model.sample(2), model.log_likelihood(IMAGES[:2], 2)
    assert capsys.readouterr().out == ""


def test_a_bar_of_ones_own_is_left_alone(model, capsys):
    class Bar(keras.callbacks.ProgbarLogger):
        pass

    model.fit(IMAGES[:8], callbacks=[Bar()])
    assert "elbo" in capsys.readouterr().out
    given = [keras.callbacks.History()]
    model.fit(IMAGES[:8], callbacks=given, verbose=0)
    assert len(given) == 1


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda m: m.encode(IMAGES, verbose=1), "encode  64/64"),
        (lambda m: m.sample(3, verbose=1), "sample  3/3"),
        (lambda m: m.log_likelihood(IMAGES[:4], 2, verbose=1), "images x samples  8/8"),
    ],
    ids=["encode", "sample", "log_likelihood"],
)
def test_many_rows_have_a_line_that_goes_away(model, terminal, capsys, run, words):
    run(model)
    text = capsys.readouterr().out
    stays, _ = lines(text)
    assert words in text and stays in ([], [""])


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (59, "59 s"), (61, "1 min"), (3900, "1 h 05 min")]
)
def test_times_are_told_in_words(seconds, words):
    assert progress.told(seconds) == words

"""The zoo by name: nothing outside it can be reached, and nothing damaged is loaded."""

import pytest

from vlae_tf import zoo

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]


def test_entry_loads_and_draws(tiny_zoo):
    assert zoo.list() == ["tiny"] and zoo.list("t*y") == ["tiny"] and zoo.list("x*") == []
    assert zoo.load("tiny").sample(2, seed=0).shape == (2, 8, 8, 1)
    assert zoo.info("tiny")["metrics"]["likelihood"][0]["num_images"] == 8
    assert "## Licence" in zoo.info("tiny")["card"]


def test_dtype_changes_the_convolutions_alone(tiny_zoo):
    model = zoo.load("tiny", dtype="mixed_bfloat16")
    assert model.encoder.compute_dtype == "bfloat16"
    assert model.posterior_family.compute_dtype == "float32"
    assert zoo.load("tiny").encoder.compute_dtype == "float32"


@pytest.mark.parametrize("name", ["clowntown", "../run", "tiny/../tiny", "", ".", "/etc", "tiny/"])
def test_unknown_name_lists_the_known_ones(tiny_zoo, name):
    (tiny_zoo.parent / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="one of the zoo's entries: tiny. Received: name="):
        zoo.load(name)


@pytest.mark.parametrize("damage", ["truncated", "other"])
def test_weights_that_were_not_evaluated_are_refused(tiny_zoo, damage):
    weights = tiny_zoo / "tiny" / "model.weights.h5"
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2] if damage == "truncated" else data[:-1] + b"!")
    with pytest.raises(ValueError, match="must have the sha256 .* Received: sha256"):
        zoo.load("tiny")


@pytest.mark.parametrize("content", ["{}", '{"weights_sha256": ', "[]", "0"])
def test_damaged_metrics_are_named(tiny_zoo, content):
    (tiny_zoo / "tiny" / "metrics.json").write_text(content)
    for read in (zoo.load, zoo.info):
        with pytest.raises(ValueError, match="tiny/metrics.json cannot be read as the metrics"):
            read("tiny")


def test_truncated_examples_are_named(tiny_zoo):
    path = tiny_zoo / "tiny" / "examples.npz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="tiny/examples.npz cannot be read"):
        zoo.examples("tiny")


def test_source_is_an_entry_or_a_run(tiny_zoo, tiny_run):
    assert zoo.locate("tiny") == tiny_zoo / "tiny" and zoo.locate(str(tiny_run)) == tiny_run
    assert zoo.load_source(str(tiny_run)).latent_dim == 2
    with pytest.raises(ValueError, match="Received: name='nothing/here'"):
        zoo.locate("nothing/here")

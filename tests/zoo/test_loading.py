"""The zoo by name, path or repository: what is damaged is not loaded, what is unknown is told."""

import importlib.util
import shutil
import sys
import types

import numpy as np
import pytest

import vlae_tf
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


@pytest.mark.parametrize("door", [zoo.load, zoo.info, zoo.examples, vlae_tf.VAE.from_preset])
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("clowntown", "the zoo has tiny. Received: source='clowntown'$"),
        ("tyny", "Did you mean tiny?"),
        ("", "Received: source=''"),
        ("/etc", "Received: source='/etc', a folder without config.json"),
        ("model.keras", "A .keras file is loaded by keras.saving.load_model"),
        ("runs/secnd", "runs has first, second. Received: .* Did you mean runs/second?"),
        ("hf://tiny", "must be hf://user/name"),
        (None, "`source` must be .* Received: source of type NoneType"),
        (3, "`source` must be .* Received: source of type int"),
    ],
)
def test_unknown_source_lists_the_known_ones(
    tiny_zoo, tmp_path, monkeypatch, no_hub, door, source, words
):
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.json").touch()
    with pytest.raises(ValueError, match=words):
        door(source)


@pytest.fixture
def no_hub(monkeypatch):
    """The package huggingface_hub, without a network."""
    hub = types.ModuleType("huggingface_hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def test_every_door_takes_names_paths_and_repositories(tiny_zoo, tmp_path, monkeypatch, no_hub):
    asked = []

    def snapshot_download(repository, allow_patterns):
        asked.append(repository)
        return str(folder)

    no_hub.snapshot_download = snapshot_download
    folder = shutil.copytree(tiny_zoo / "tiny", tmp_path / "elsewhere" / "mine")
    code = zoo.load("tiny").encode(zoo.examples("tiny"))
    for source in ("tiny", folder, str(folder), "hf://someone/mine"):
        for load in (zoo.load, vlae_tf.VAE.from_preset, vlae_tf.VLAE.from_preset):
            np.testing.assert_array_equal(load(source).encode(zoo.examples(source)), code)
        assert zoo.info(source)["card"] == zoo.info("tiny")["card"]
    assert set(asked) == {"someone/mine"}
    monkeypatch.setenv("VLAE_TF_ZOO", str(folder.parent))
    assert zoo.list() == ["mine", "tiny"] and zoo.list("m*") == ["mine"]
    assert zoo.locate("mine") == folder


def test_repository_without_an_entry_or_without_the_package(tmp_path, monkeypatch, no_hub):
    no_hub.snapshot_download = lambda *_, **__: str(tmp_path)
    with pytest.raises(ValueError, match="'hf://a/b', which has no config.json"):
        zoo.load("hf://a/b")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="pip install 'vlae_tf\\[hub\\]'"):
        zoo.load("hf://a/b")


@pytest.mark.skipif(importlib.util.find_spec("huggingface_hub") is None, reason="not installed")
def test_the_real_package_takes_these_arguments(tiny_zoo, monkeypatch):
    import inspect

    from huggingface_hub import snapshot_download

    assert {"repo_id", "allow_patterns"} <= set(inspect.signature(snapshot_download).parameters)


def test_examples_without_images(tiny_zoo):
    np.savez(tiny_zoo / "tiny" / "examples.npz", pictures=np.zeros(3))
    with pytest.raises(ValueError, match="`source` must be .* whose examples.npz has images"):
        zoo.examples("tiny")


def test_own_zoo_must_be_a_folder_with_names_of_its_own(tiny_zoo, tmp_path, monkeypatch):
    monkeypatch.setenv("VLAE_TF_ZOO", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="`VLAE_TF_ZOO` must be a folder of entries"):
        zoo.list()
    shutil.copytree(tiny_zoo, tmp_path / "mine")
    monkeypatch.setenv("VLAE_TF_ZOO", str(tmp_path / "mine"))
    with pytest.raises(ValueError, match="names of their own. Received: tiny in"):
        zoo.load("tiny")


def test_preset_without_weights_and_of_another_class(tiny_zoo):
    fresh = vlae_tf.VAE.from_preset("tiny", load_weights=False)
    weights = zip(fresh.get_weights(), zoo.load("tiny").get_weights(), strict=True)
    assert any((a != b).any() for a, b in weights)

    class Other(vlae_tf.VLAE):
        pass

    with pytest.raises(ValueError, match="config.json must hold a Other. Received: a VLAE"):
        Other.from_preset("tiny")


def test_a_run_has_no_card_and_no_examples(tiny_zoo, tiny_run):
    assert zoo.load(tiny_run).latent_dim == 2
    for door, name in ((zoo.info, "card.md"), (zoo.examples, "examples.npz")):
        with pytest.raises(ValueError, match=f"vlae-tf zoo publish.*without {name}"):
            door(tiny_run)


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

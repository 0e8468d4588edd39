"""The linear probe: what a linear classifier can read, and what it cannot."""

import json

import numpy as np
import pytest

from vlae_tf.datasets import load_labels
from vlae_tf.evaluation import linear_probe, probe, probe_run
from vlae_tf.files import sha256
from vlae_tf.runs import data

RNG = np.random.default_rng(0)


CLASSIFIERS = pytest.mark.parametrize(
    "classifier", ["logistic_regression", "linear_discriminant_analysis"]
)


@CLASSIFIERS
def test_it_reads_what_is_linear_and_nothing_else(classifier):
    labels = RNG.integers(0, 3, 600)
    told = np.eye(3)[labels] * 5 + RNG.normal(size=(600, 3))
    result = linear_probe(told[:400], labels[:400], told[400:], labels[400:], classifier)
    assert result["accuracy"] > 0.95
    noise = RNG.normal(size=(600, 3))
    result = linear_probe(noise[:400], labels[:400], noise[400:], labels[400:], classifier)
    assert abs(result["accuracy"] - 1 / 3) < 4 * result["standard_error"]
    assert result["standard_error"] == pytest.approx(np.sqrt(2 / 9 / 200), rel=0.1)


def test_features_of_any_scale_count_alike():
    labels = RNG.integers(0, 2, 400)
    told = (2 * labels - 1)[:, None] + 0.5 * RNG.normal(size=(400, 1))
    features = np.concatenate([1e-4 * told, 1e4 * RNG.normal(size=(400, 1))], axis=1)
    assert (
        linear_probe(features[:300], labels[:300], features[300:], labels[300:])["accuracy"] > 0.9
    )


@CLASSIFIERS
def test_its_bound_is_chosen_where_features_outnumber_what_they_tell(classifier):
    # 200 features of which one tells the class, with noise: without a strong penalty the others
    # are learned by heart.
    rng = np.random.default_rng(0)  # its own: which values are chosen depends on the draw
    labels = rng.integers(0, 2, 1200)
    features = rng.normal(size=(1200, 200))
    features[:, 0] += 3.0 * labels
    result = linear_probe(features[:200], labels[:200], features[200:], labels[200:], classifier)
    bounded = result["C"] < 1.0 if "C" in result else result["shrinkage"] > 0.0
    assert bounded and result["accuracy"] > 0.7


def test_another_classifier_is_named():
    with pytest.raises(ValueError, match="`classifier` must be one of 'logistic_regression'"):
        linear_probe([[0.0]], [0], [[0.0]], [0], classifier="forest")


@pytest.fixture(autouse=True)
def loading(load_once, monkeypatch):
    def load(folder, dtype):
        return load_once(folder, dtype), sha256(folder / "model.weights.h5")

    monkeypatch.setattr(probe, "load_hashed_run", load)


def test_codes_and_pixels_of_a_run(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        probe,
        "load_labels",
        lambda name, split, *_, **__: np.arange(32 if split == "train" else 64) % 2,
    )
    result = probe_run(tiny_run, tmp_path / "probe.json", num_images=20)
    assert json.loads((tmp_path / "probe.json").read_text()) == result
    assert (result["train_images"], result["test_images"]) == (20, 64)
    for name in ("code", "pixels"):
        assert 0 <= result[name]["accuracy"] <= 1


def test_images_and_classes_of_another_data_set(tiny_run, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="name of a data set .mnist_static.*source='digits'"):
        probe_run(tiny_run, tmp_path / "probe.json", dataset="digits")
    asked = []
    images = RNG.integers(0, 256, (30, 8, 8, 1), "uint8")
    monkeypatch.setattr(
        probe, "load_labels", lambda name, *_, **__: asked.append(name) or np.arange(30) % 2
    )
    monkeypatch.setattr(data, "load_arrays", lambda name, *_, **__: asked.append(name) or images)
    result = probe_run(tiny_run, tmp_path / "probe.json", dataset="mnist_dynamic")
    assert set(asked) == {result["dataset"]} == {"mnist_dynamic"}


def test_data_without_classes():
    with pytest.raises(ValueError, match="`source` must be a data set with classes; mnist_dynamic"):
        load_labels("mnist_static")


@pytest.mark.data
def test_labels_are_those_of_the_images():
    labels = load_labels("mnist_dynamic", "validation")
    assert labels.shape == (10_000,) and set(labels) == set(range(10))
    # Digits of one class are alike: nearer to their own mean than to the others'.
    from vlae_tf.datasets import load_arrays

    images = load_arrays("mnist_dynamic", "validation").reshape(10_000, -1) / 255.0
    means = np.stack([images[labels == digit].mean(axis=0) for digit in range(10)])
    distances = ((images[:500, None] - means) ** 2).sum(axis=-1)
    assert (distances.argmin(axis=1) == labels[:500]).mean() > 0.7


@pytest.mark.data
def test_labels_of_omniglot_follow_its_images_into_their_order():
    from vlae_tf.datasets import load_arrays

    images = load_arrays("omniglot", "train").reshape(-1, 784) / np.float32(255)
    labels = load_labels("omniglot")
    assert set(labels) == set(range(1623))
    means = np.stack([images[labels == character].mean(axis=0) for character in range(1623)])
    test = load_arrays("omniglot", "test").reshape(-1, 784)[:500] / np.float32(255)
    nearest = ((means**2).sum(axis=1) - 2 * test @ means.T).argmin(axis=1)
    # 500 x 1/1623 would be right by chance: less than one.
    assert (nearest == load_labels("omniglot", "test")[:500]).sum() > 50

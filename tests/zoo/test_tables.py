"""The README's table, the page of results, and the card: what they say, and in which unit."""

import json
import shutil

import numpy as np
import pytest
import yaml

from vlae_tf import catalogue
from vlae_tf.zoo import tables
from vlae_tf.zoo.card import card

pytestmark = pytest.mark.slow


@pytest.fixture
def change(tiny_zoo):
    """Changes fields of a JSON file of the tiny entry; returns what the file holds then."""

    def change(name, **fields):
        path = tiny_zoo / "tiny" / f"{name}.json"
        content = (json.loads(path.read_text()) if path.exists() else {}) | fields
        path.write_text(json.dumps(content))
        return content

    return change


def test_colours_are_in_bits_a_dimension(tiny_zoo, change):
    nats = tables.results_table()
    assert nats.startswith("| entry | test NLL |") and "bits/dim" not in nats
    metrics = change("metrics")
    change("metrics", binarisation="none")
    (best,) = metrics["likelihood"]
    error = best["nll_standard_error"] / (64 * np.log(2))
    row = f"| [tiny](zoo/tiny/card.md) | **{best['bits_per_dim']:.3f}** ± {error:.3f} |"
    bits = tables.results_table()
    assert bits.startswith("| entry | test bits/dim |") and row in bits
    # Beside an entry in nats: a table each.
    shutil.copytree(tiny_zoo / "tiny", tiny_zoo / "binary")
    (tiny_zoo / "binary" / "metrics.json").write_text(json.dumps(metrics))
    assert tables.results_table() == nats.replace("tiny", "binary") + "\n" + bits


def test_control_is_beside_the_entry(change):
    assert tables.control_sentence(change("metrics"), 4) == "not measured yet"
    figures = {"nll": 50.0, "nll_standard_error": 0.25, "gain": 1.5, "gain_standard_error": 0.125}
    control = {**figures, "num_images": 8, "importance_samples": 16}
    metrics = change("metrics", control=control)
    told = tables.control_sentence(metrics, 4)
    assert told.startswith("50.00 ± 0.25 nats on 8 images, so the code is worth 1.50 ± 0.12 nats")
    assert told.endswith("with 16 importance samples")
    assert "| 50.00 |" in tables.results_table() and told in tables.results_page()
    # Measured on other images, it is not beside the entry's likelihood.
    change("metrics", control=control | {"num_images": 7})
    assert "50.00" not in tables.results_table() and "on 7 images" in tables.results_page()
    of_training = control | {"trained": "vlae-tf train it --control", "epochs": 3}
    told = tables.control_sentence(metrics | {"control": of_training}, 4)
    assert told.endswith("(`vlae-tf train it --control`, 3 epochs; the model had 4)")
    assert tables.control_sentence(metrics | {"control": of_training}, 3).endswith(", 3 epochs)")


def test_page_says_what_the_probe_read(change):
    assert "vlae-tf probe" not in tables.results_page()
    read = {"accuracy": 0.9512, "standard_error": 0.0021}
    dataset = change("metrics")["dataset"]
    counts = {"train_images": 10_000, "test_images": 500, "code": read, "pixels": read}
    change("probe", **counts, classifier="logistic_regression", dataset=dataset)
    page = tables.results_page()
    assert "to 10,000 training images" in page and "accuracy of 95.1 ± 0.2 %" in page
    assert "`vlae-tf probe`" in page and "--dataset" not in page
    change("probe", dataset="mnist_dynamic")
    page = tables.results_page()
    assert "a test image of mnist_dynamic" in page and "probe --dataset mnist_dynamic`" in page
    change("probe", dataset=dataset, classifier="linear_discriminant_analysis", train_images=900)
    page = tables.results_page()
    assert "(linear discriminant analysis)" in page
    assert "probe --classifier linear_discriminant_analysis --images 900`" in page


def test_card_and_page_say_how_the_weights_are_stored(tiny_zoo, change):
    stored = {"dtype": "float16", "examples": 16, "mean_change_nats": 1e-4}
    change("metrics", stored=stored | {"largest_change_nats": 0.002})
    sentence = (
        "The weights are stored as float16, which changes log p(x) of 16 test images by +0.0001 "
        "nats in the mean, and by at most 0.0020."
    )
    for text in (tables.results_page(), card("tiny", tiny_zoo / "tiny")):
        assert sentence in text


def test_entry_that_continues_other_weights_says_so(tiny_zoo, change):
    folder = tiny_zoo / "tiny"
    assert "of earlier runs" not in tables.results_page() + card("tiny", folder)
    change("run", earlier={"epochs": 30, "wall_time_s": 7200.0})
    for text in (tables.results_page(), card("tiny", folder)):
        assert "after 30 epochs in 2.0 hours of earlier runs" in text


def test_card_says_which_run_was_continued(tiny_zoo, change):
    folder = tiny_zoo / "tiny"
    assert "The recipe is [recipe.json](recipe.json).\n" in card("tiny", folder)
    change("recipe", initial_weights="runs/before/model.weights.h5")
    assert "an earlier run, whose weights and curves are not kept.\n" in card("tiny", folder)


def test_card_needs_no_weights(tiny_zoo):
    folder = tiny_zoo / "tiny"
    (folder / "model.weights.h5").unlink()
    assert card("tiny", folder) == (folder / "card.md").read_text()
    assert "a decoder whose window is 7x3 above, 3 left" in card("tiny", folder)


def front_matter(card):
    """What stands between the marks at the top of a card, and the rest."""
    begin, front, rest = card.split("---\n", 2)
    assert begin == ""
    return yaml.safe_load(front), rest


def test_card_begins_with_what_the_hub_reads_and_how_to_load_it(tiny_entry, change):
    metrics, entry = change("metrics"), change("entry")
    front, rest = front_matter((tiny_entry / "card.md").read_text())
    assert "license" not in front and front["library_name"] == "keras"
    assert "Weights: licence not stated." in rest
    # Of own images no path is told.
    assert front["datasets"] == ["images.npz"]
    [model] = front["model-index"]
    [result] = model["results"]
    assert model["name"] == "tiny" and result["dataset"]["split"] == metrics["split"]
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    [block] = metrics["likelihood"]
    for kind, name in (
        ("nll", "nll"),
        ("bits_per_dim", "bits_per_dim"),
        ("code_bits", "code_bits"),
    ):
        assert values[kind] == pytest.approx(block[name], rel=1e-4)
    # The snippet, as it stands there.
    code = rest.split("```python\n", 1)[1].split("```", 1)[0]
    assert entry["source"] == str(tiny_entry)
    found = {}
    exec(code, found)
    assert found["images"].shape == (16, 8, 8, 1)


def test_licence_is_the_one_that_is_given(tiny_zoo, change):
    change("entry", licence="CC-BY-4.0", source='a "quoted": name')
    front, rest = front_matter(card('ti"ny: #', tiny_zoo / "tiny"))
    assert front["license"] == "cc-by-4.0" and "Weights: CC-BY-4.0." in rest
    assert front["model-index"][0]["name"] == 'ti"ny: #'
    assert r'vlae_tf.zoo.load("a \"quoted\": name")' in rest


def test_window_that_is_a_cone_is_named_as_one():
    entry = catalogue.read_entry(catalogue.locate("mnist_static"), "entry")
    assert entry["window_pixels"] == 257 and "a cone of 257 of these 312" in entry["window"]
    entry = catalogue.read_entry(catalogue.locate("cifar10_lossy_4x2"), "entry")
    assert entry["window_pixels"] == 4 * 2 + 2 and "cone" not in entry["window"]


def test_no_window_is_larger_than_the_image():
    entry = catalogue.read_entry(catalogue.locate("mnist_static_info"), "entry")
    assert (entry["window_pixels"], entry["window"]) == (28 * 28 - 1, "the whole image")
    for name, folder in catalogue.entries(own=False).items():
        entry = catalogue.read_entry(folder, "entry")
        height, width, _ = entry["image_shape"]
        assert entry["window_pixels"] < height * width, name

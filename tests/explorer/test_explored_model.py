"""What the page is told equals what the model says."""

import json
import shutil

import numpy as np
import pytest

from tests.tiny import numpy_of
from vlae_tf import zoo
from vlae_tf.explorer.explored_model import ExploredModel
from vlae_tf.runs import load_run


@pytest.fixture(scope="module")
def model(tiny_entry):
    return load_run(tiny_entry)


@pytest.fixture(scope="module")
def images(model):
    shape = (3, *model.image_shape)
    return np.random.default_rng(0).integers(0, 2, shape).astype("uint8")


def test_codes_and_bits_are_those_of_the_served_model(tiny, model, images):
    tf = pytest.importorskip("tensorflow")
    from vlae_tf.saved_model.signatures import Signatures

    code, bits = tiny.encode(images)
    np.testing.assert_allclose(code, model.encode(images), atol=1e-5)
    assert bits.shape == code.shape
    served = Signatures(model, 1).encode(tf.constant(images))["code_bits"]
    np.testing.assert_allclose(bits.sum(axis=1), served, rtol=1e-4, atol=1e-4)


def test_drawn_images_are_those_of_the_model(tiny, model, images):
    codes, seeds = model.encode(images), [5, 6, 7]
    drawn = tiny.decode(codes, seeds)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, model.decode(codes, seed=seeds))
    np.testing.assert_array_equal(tiny.decode(codes[:1], seeds[:1]), drawn[:1])
    kept = tiny.decode(codes, seeds, known=images[:1], rows_known=4)
    np.testing.assert_array_equal(kept[:, :4], np.repeat(images[:1, :4], 3, axis=0))
    np.testing.assert_array_equal(
        tiny.sample(4, seed=3, temperature=0.5), model.sample(4, [3, 4, 5, 6], 0.5)
    )


def test_the_window_holds_the_pixels_that_change_a_pixel(tiny, model):
    height, width, _ = model.image_shape
    row, column = height - 2, width // 2
    places = [
        (up, side)
        for up in range(row + 1)
        for side in range(-column, width - column)
        if up or side < 0
    ]
    images = np.zeros((1 + len(places), *model.image_shape), "float32")
    for image, (up, side) in zip(images[1:], places, strict=True):
        image[row - up, column + side] = 1
    maps = model.decoder(np.zeros((len(images), model.latent_dim), "float32"))
    outputs = numpy_of(model.likelihood_family(maps, images))[:, row, column, 0]
    changed = outputs[1:] != outputs[0]
    seen = {place for place, change in zip(places, changed, strict=True) if change}
    cells = set(tiny.window())
    assert seen and seen <= cells
    assert max(up for up, _ in seen) == max(up for up, _ in cells)


def test_a_run_has_no_examples_and_a_stranger_no_page(tiny, tiny_run, tmp_path):
    assert len(tiny.examples()) and not len(ExploredModel(tiny_run).examples())
    about = tiny.about()
    assert json.loads(json.dumps(about)) == about
    with pytest.raises(ValueError, match="the name of an entry of the zoo, the folder of an entry"):
        ExploredModel(tmp_path)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config.json", "[]"),
        ("config.json", "{"),
        ("config.json", '{"config": 3}'),
        ("config.json", '{"config": {"image_shape": [8, 8], "latent_dim": 2}}'),
        ("recipe.json", "[]"),
    ],
)
def test_a_damaged_file_of_a_run_is_named(tiny_entry, tmp_path, file, text):
    shutil.copytree(tiny_entry, tmp_path / "run")
    (tmp_path / "run" / file).write_text(text)
    with pytest.raises(ValueError, match=f"{file} cannot be read as"):
        ExploredModel(tmp_path / "run")


@pytest.mark.parametrize("codes", [[[0.0]], [0.0, 1.0], np.full((1, 3), np.nan)])
def test_codes_of_another_shape_are_refused(tiny, codes):
    with pytest.raises(ValueError, match="`code` must have"):
        tiny.decode(codes, [0])


def test_size_of_a_file_is_that_of_compress(tiny, tiny_entry, images):
    coding = pytest.importorskip("vlae_tf.coding")
    pytest.importorskip("constriction")
    size, png = tiny.file_sizes(images[0])
    assert size == len(coding.compress(images[:1], str(tiny_entry)))
    assert 60 < png < 200  # 8 bytes of pixels in a binary PNG


def test_without_the_coder_no_size_is_told(tiny_entry, images, monkeypatch):
    def missing(*_, **__):
        raise ImportError("no constriction")

    monkeypatch.setattr("vlae_tf.explorer.explored_model.Coder", missing)
    assert ExploredModel(tiny_entry).file_sizes(images[0]) is None


def test_a_rung_shows_its_plane_or_its_clusters(tiny):
    assert tiny.rungs() == [] and tiny.about()["rungs"] == 0
    ladder, mixture = ExploredModel("mnist_ladder"), ExploredModel("mnist_mixture_ladder")
    assert ladder.rungs() == ["plane"] * 3 and ladder.about()["rungs"] == 3
    assert mixture.rungs() == ["clusters"] * 2 and mixture.about()["rungs"] == 2
    code, _ = ladder.encode(ladder.examples()[:1])
    planes = [ladder.rung(index, code[0], 0)[0] for index in range(3)]
    model = load_run(zoo.locate("mnist_ladder"))
    side = len(planes[0])
    assert all(plane.shape == (side, side, 28, 28, 1) for plane in planes)
    # In the middle of the plane the rung is 0, and the rest is the code of the image.
    for index, plane in enumerate(planes):
        middle = np.array(code)
        middle[:, 2 * index : 2 * index + 2] = 0
        expected = 255 * (1 - numpy_of(model.likelihood(middle).mean())[0])
        assert np.abs(plane[side // 2, side // 2] - expected).max() < 1
    code, _ = mixture.encode(mixture.examples()[:1])
    rows, told = mixture.rung(1, code[0], 0)
    model = load_run(zoo.locate("mnist_mixture_ladder"))
    weights = numpy_of(model.prior().rungs[1].weights())
    assert rows.shape[0] == len(weights) and rows.shape[2:] == (28, 28, 1)
    cluster = int(numpy_of(model(mixture.examples()[:1])["cluster"])[0, 1])
    assert f"in row {1 + int(np.sum(weights > weights[cluster]))}," in told


@pytest.mark.parametrize("index", [3, -1, "top", None])
def test_a_rung_that_is_not_there(index):
    ladder = ExploredModel("mnist_ladder")
    with pytest.raises(ValueError, match="`rung` must be an integer"):
        ladder.rung(index, np.zeros(6), 0)

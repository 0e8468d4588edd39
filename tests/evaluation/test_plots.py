import numpy as np
import pytest
from PIL import Image

from vlae_tf.evaluation import plot_history, plot_reconstructions, plot_rows, plot_samples, plots


def ink(path, rows, columns, height, width):
    """What a picture shows in its grid, `(rows, columns, height, width)`; the grid ends it."""
    with Image.open(path) as picture:
        picture = 1 - np.asarray(picture.convert("L")) / 255
    size = rows * (height + 1) - 1, columns * (width + 1) - 1
    grid = picture[-size[0] * plots._SCALE :, -size[1] * plots._SCALE :]
    # One pixel of the picture for each of the grid, then one more row and column to cut it evenly.
    grid = np.pad(grid[:: plots._SCALE, :: plots._SCALE], [(0, 1), (0, 1)])
    cells = grid.reshape(rows, height + 1, columns, width + 1).transpose(0, 2, 1, 3)
    return cells[:, :, :height, :width]


@pytest.fixture
def random_images():
    return np.random.default_rng(0).integers(0, 2, (7, 5, 9, 1)).astype("uint8")


def test_samples_are_drawn_in_order(random_images, tmp_path):
    plot_samples(random_images, tmp_path / "samples.png", columns=3)
    shown = ink(tmp_path / "samples.png", 3, 3, 5, 9).reshape(9, 5, 9)
    np.testing.assert_allclose(shown[:7], random_images[..., 0], atol=0.01)
    assert shown[7:].max() == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_intensities_and_colours_are_shown_as_they_are(tmp_path, channels):
    values = np.linspace(0, 255, 12 * 20).astype("uint8").reshape(1, 12, 20, 1)
    plot_samples(values.repeat(channels, axis=-1), tmp_path / "samples.png")
    shown = ink(tmp_path / "samples.png", 1, 1, 12, 20)[0, 0]
    # Grey images are ink on paper, colours are light.
    expected = values[0, ..., 0] / 255 if channels == 1 else 1 - values[0, ..., 0] / 255
    np.testing.assert_allclose(shown, expected, atol=0.01)


@pytest.mark.usefixtures("eager")
def test_reconstructions_stand_below_their_originals(wide_model, images, tmp_path):
    plot_reconstructions(wide_model, images, tmp_path / "r.png", draws=2, seed=3)
    shown = ink(tmp_path / "r.png", 3, len(images), 2, 3)
    np.testing.assert_allclose(shown[0], images[..., 0], atol=0.01)
    assert set(np.unique(shown[1:].round(2))) <= {0, 1}
    again = wide_model.reconstruct(images, seed=3)
    np.testing.assert_allclose(shown[1], again[..., 0], atol=0.01)


def test_a_line_in_the_margin_parts_the_rows_of_each_label(tmp_path):
    images = np.zeros((2, 6, 6, 1))
    path = tmp_path / "rows.png"
    plot_rows({"one": images, "three": np.stack([images] * 3), "two": np.stack([images] * 2)}, path)
    with Image.open(path) as picture:
        margin = np.asarray(picture.convert("L"))[:, 20:40]
    dark = np.flatnonzero(margin.max(axis=1) < 128)
    # After the first row of images and after the fourth, each of 6 pixels and a line, twice as big.
    assert set(np.round(dark / 14).astype(int)) == {1, 4}
    plot_rows({"one": images, "two": images}, path)
    with Image.open(path) as picture:
        assert np.asarray(picture.convert("L"))[:, 20:40].max(axis=1).min() > 128


def test_pictures_are_small(tmp_path):
    images = np.random.default_rng(0).integers(0, 2, (64, 28, 28, 1))  # the worst to compress
    plot_samples(images, tmp_path / "samples.png")
    assert (tmp_path / "samples.png").stat().st_size < 50_000


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (4, 4, 1), (2, 4, 4, 2)])
def test_refuses_what_is_no_batch_of_images(tmp_path, shape):
    with pytest.raises(ValueError, match="`images` must have shape"):
        plot_samples(np.zeros(shape), tmp_path / "samples.png")
    assert not list(tmp_path.iterdir())


def test_refuses_no_draws(wide_model, images, tmp_path):
    with pytest.raises(ValueError, match="`draws` must be an integer, at least 1.*draws=0"):
        plot_reconstructions(wide_model, images, tmp_path / "r.png", draws=0)


def write_history(path, epochs, validation=True):
    header = "epoch,elbo,code_bits" + (",val_elbo,val_code_bits" if validation else "")
    rows = [
        f"{e},{-80 - 100 / (e + 1) ** 2},{9 - 1 / (e + 1)}"
        + (f",{-81 - 400 / (e + 1) ** 2},{8 - 1 / (e + 1)}" if validation else "")
        for e in range(epochs)
    ]
    path.write_text("\n".join([header, *rows]) + "\n")


@pytest.mark.parametrize("validation", [True, False])
def test_history_shows_bound_and_code(tmp_path, curves, validation):
    write_history(tmp_path / "history.csv", 3, validation)
    plot_history(tmp_path / "history.csv", tmp_path / "history.png")
    bound, code = curves[0].axes
    names = ["training", "validation"] if validation else ["training"]
    assert [line.get_label() for line in bound.lines] == names
    np.testing.assert_array_equal(bound.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(bound.lines[0].get_ydata(), [180, 105, 80 + 100 / 9])
    np.testing.assert_allclose(code.lines[0].get_ydata(), [8, 8.5, 9 - 1 / 3])
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in curves[0].axes)


def test_long_history_is_shown_at_the_scale_of_its_end(tmp_path, curves):
    write_history(tmp_path / "history.csv", 50)
    plot_history(tmp_path / "history.csv", tmp_path / "history.png")
    bottom, top = curves[0].axes[0].get_ylim()
    assert bottom < 80.04 and 81.2 < top < 100  # the first epoch has 481


def test_history_goes_on_from_earlier_runs_and_is_told_in_bits_for_colours(tmp_path, curves):
    path = tmp_path / "history.csv"
    path.write_text("epoch,bits_per_dim,code_bits,elbo\n0,3.5,100,-7000\n1,3.25,120,-6500\n")
    plot_history(path, tmp_path / "history.png", earlier_epochs=4, bits_per_dim=True)
    bound = curves[0].axes[0]
    np.testing.assert_array_equal(bound.lines[0].get_xdata(), [5, 6])
    np.testing.assert_array_equal(bound.lines[0].get_ydata(), [3.5, 3.25])
    assert bound.get_ylabel() == "-ELBO (bits/dim)"


def test_history_shows_each_further_term_in_its_unit(tmp_path, curves):
    path = tmp_path / "history.csv"
    path.write_text("epoch,elbo,kl,mmd,val_mmd,code_bits\n0,-9,1,0.5,0.6,2\n1,-8,1,0.25,0.3,3\n")
    terms = {"elbo": "nats", "reconstruction": "nats", "kl": "nats", "kl_1": "nats", "mmd": ""}
    plot_history(path, tmp_path / "history.png", terms=terms)
    panels = {axes.get_ylabel(): axes for axes in curves[0].axes}
    assert list(panels) == ["-ELBO (nats)", "code (bits)", "kl_1 (nats)", "mmd"]
    shown = [line.get_ydata().tolist() for line in panels["mmd"].lines]
    assert shown == [[0.5, 0.25], [0.6, 0.3]]


def test_history_is_written(tmp_path):
    write_history(tmp_path / "history.csv", 2)
    plot_history(tmp_path / "history.csv", tmp_path / "history.png")
    with Image.open(tmp_path / "history.png") as picture:
        assert picture.size == (800, 300)


def test_refuses_a_history_without_epochs(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,elbo,code_bits\n")
    with pytest.raises(ValueError, match="at least one finished epoch.*history.csv"):
        plot_history(tmp_path / "history.csv", tmp_path / "history.png")


def test_a_picture_that_cannot_be_written_leaves_the_old_one(random_images, tmp_path, monkeypatch):
    path = tmp_path / "samples.png"
    plot_samples(random_images, path)
    before = path.read_bytes()

    def full(self, name, **options):
        name.write_bytes(before[:10])
        raise OSError("the disk is full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    with pytest.raises(OSError, match="full"):
        plot_samples(random_images, path)
    assert [file.name for file in tmp_path.iterdir()] == ["samples.png"]
    assert path.read_bytes() == before

"""Pictures of a model: what it draws, what its code keeps, how it was trained."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from vlae_tf.checks import check_integer
from vlae_tf.files import PathLike, save_figure
from vlae_tf.models import VAE
from vlae_tf.objectives import Objective
from vlae_tf.records import read_history

# Pixels of the picture for each pixel of an image, and for each inch of matplotlib's.
_SCALE, _DPI = 2, 100
# Darkness of the lines between images, on a scale from paper to ink.
_LINE = 0.25


def plot_samples(images: ArrayLike, path: PathLike, columns: int | None = None) -> None:
    """Draw images in a grid.

    Args:
        images: binary or intensities, `(n, height, width, 1 or 3)`, such as `VAE.sample` gives.
        path: file to write; the suffix decides the format.
        columns: columns of the grid; about as many as rows unless given.

    Raises:
        ValueError: if there are no images to draw.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.evaluation import plot_samples
        >>> plot_samples(np.eye(8).reshape(1, 8, 8, 1).repeat(6, axis=0), "samples.png")
    """
    images = _images(images)
    columns = columns or int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    blank = np.zeros((rows * columns - len(images), *images.shape[1:]), images.dtype)
    grid = np.concatenate([images, blank]).reshape(rows, columns, *images.shape[1:])
    _draw(grid, path, title="samples")


def plot_reconstructions(
    model: VAE, images: ArrayLike, path: PathLike, draws: int = 4, seed: int = 0
) -> None:
    """Draw images above several reconstructions from the code of each.

    All reconstructions of a column are drawn from one code: what stays the same is in the code,
    what changes from row to row comes from the decoder.

    Args:
        model: a `VAE`.
        images: images as the model takes them, `(n, *image_shape)`; one column each.
        path: file to write; the suffix decides the format.
        draws: reconstructions of each image.
        seed: seed of the reconstructions.

    Raises:
        ValueError: for images the model does not take, or fewer than one draw.

    Example:
        >>> import vlae_tf
        >>> from vlae_tf.evaluation import plot_reconstructions
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> small = {"filters": [2], "blocks": 0, "units": 4}
        >>> parts = ResNetEncoder(**small), ResNetDecoder((4, 4, 1), maps=2, **small)
        >>> model = vlae_tf.VLAE((4, 4, 1), 2, *parts)
        >>> plot_reconstructions(model, model.sample(3), "reconstructions.png", draws=2)
    """
    check_integer(draws, "draws", least=1)
    code = model.encode(images)
    again = model.decode(np.tile(code, (draws, 1)), seed=seed)
    grid = np.concatenate([_images(images), _images(again)])
    labels = {"originals": 0, "from their codes": (1 + draws) / 2}
    _draw(grid.reshape(draws + 1, len(code), *grid.shape[1:]), path, labels=labels)


def plot_rows(rows: Mapping[str, ArrayLike], path: PathLike) -> None:
    """Draw rows of images below each other, each with a label.

    Args:
        rows: dict of labels to images, binary or intensities, `(n, height, width, 1 or 3)`, of the
            same shape in all rows; or to several rows of images, one below the other.
        path: file to write; the suffix decides the format.

    Raises:
        ValueError: if there are no images to draw.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.evaluation import plot_rows
        >>> images = np.eye(8).reshape(1, 8, 8, 1).repeat(6, axis=0)
        >>> plot_rows({"originals": images, "inverted": 1 - images}, "rows.png")
    """
    if not rows:
        raise ValueError(f"`rows` must hold images to draw. Received: rows={rows!r}")
    grid: list[np.ndarray] = []
    labels, ends = {}, []
    for label, images in rows.items():
        array = np.asarray(images)
        several = array if array.ndim == 5 else array[None]
        labels[label] = len(grid) + (len(several) - 1) / 2
        grid.extend(_images(row) for row in several)
        ends.append(len(grid))
    _draw(np.stack(grid), path, labels=labels, ends=ends[:-1] if len(grid) > len(rows) else ())


def plot_history(
    history: PathLike,
    path: PathLike,
    earlier_epochs: int = 0,
    bits_per_dim: bool = False,
    terms: Mapping[str, str] | None = None,
) -> None:
    """Draw the training curves: the bound, the length of the code, and further terms.

    The bound's first epochs leave the frame where they would hide the last ones.

    Args:
        history: path of a run's `history.csv`.
        path: file to write; the suffix decides the format.
        earlier_epochs: epochs of the runs that this one continues; epochs are counted from there.
        bits_per_dim: True to draw the bound in bits/dim, False in nats.
        terms: the terms that the objective declares, `model.objective.terms`; those that not every
            objective has get a panel each.

    Raises:
        ValueError: if the file holds no finished epoch.

    Example:
        >>> import pathlib
        >>> from vlae_tf.evaluation import plot_history
        >>> _ = pathlib.Path("history.csv").write_text("epoch,elbo,code_bits\\n0,-90,9\\n")
        >>> plot_history("history.csv", "history.png")
    """
    columns = read_history(history)
    if not columns["epoch"]:
        raise ValueError(
            "`history` must be the history.csv of a run with at least one finished epoch. "
            f"Received: history={str(history)!r}"
        )
    epochs = [epoch + 1 + earlier_epochs for epoch in columns["epoch"]]
    bound = ("elbo", "-ELBO (nats)", -1)
    if bits_per_dim:
        bound = ("bits_per_dim", "-ELBO (bits/dim)", 1)
    further = [
        (name, f"{name} ({unit})" if unit else name, 1)
        for name, unit in (terms or {}).items()
        if name not in Objective.terms
    ]
    panels = [bound, ("code_bits", "code (bits)", 1), *further]
    figure = Figure(figsize=(4 * len(panels), 3), dpi=_DPI, layout="constrained")
    for axes, (key, label, sign) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        shown = []
        for prefix, name in (("", "training"), ("val_", "validation")):
            if None not in (measured := columns.get(prefix + key, [None])):
                values = sign * np.array(measured)
                axes.plot(epochs, values, label=name, marker="." if len(epochs) < 20 else None)
                shown.append(values)
        if key == bound[0]:
            _look_at_the_end(axes, np.array(shown))
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False)
    save_figure(figure, path)


def _look_at_the_end(axes, curves):
    """Lets the first epochs leave the frame, so that the last ones can be told apart."""
    curves = np.sort(curves[np.isfinite(curves)])
    if len(curves) > 8:
        low, high = curves[0], curves[int(0.8 * len(curves))]
        axes.set_ylim(low - 0.1 * (high - low), high + 0.5 * (high - low))


def _images(images):
    images = np.asarray(images)
    if images.ndim != 4 or not len(images) or images.shape[-1] not in (1, 3):
        raise ValueError(
            "`images` must have shape (n, height, width, channels), with at least one image of 1 "
            f"or 3 channels. Received: images with shape {images.shape}"
        )
    return images / 255.0 if images.max() > 1 else images.astype("float64")


def _draw(grid, path, title=None, labels=None, ends=()):
    """A picture of `grid`, `(rows, columns, height, width, channels)`, with labels at its rows, and
    a line in the margin after each number of rows in `ends`.

    One picture of the whole grid: `keras.visualization.plot_image_gallery` resamples the pixels and
    has no labels at rows, and matplotlib's `ImageGrid` looks as good but takes a hundred times as
    long, for its axes for each image.
    """
    rows, columns, height, width, channels = grid.shape
    # A line of one pixel below and right of each image, and none at the picture's edge.
    line = _LINE if channels == 1 else 1 - _LINE
    grid = np.pad(grid, [(0, 0), (0, 0), (0, 1), (0, 1), (0, 0)], constant_values=line)
    canvas = grid.transpose(0, 2, 1, 3, 4).reshape(rows * (height + 1), columns * (width + 1), -1)
    canvas = canvas[:-1, :-1]

    # Sizes in pixels: the images, a margin for the labels, a line for the title.
    longest = max((len(line) for label in labels or () for line in label.split("\n")), default=0)
    margin, top = (max(124, 8 * longest) if labels else 0), (24 if title else 0)
    size = np.array([canvas.shape[1] * _SCALE + margin, canvas.shape[0] * _SCALE + top])
    figure = Figure(figsize=size / _DPI, dpi=_DPI)
    left, upper = margin / size[0], 1 - top / size[1]
    axes = figure.add_axes((left, 0, 1 - left, upper))
    # Ink on paper for one channel, as it is for colours.
    axes.imshow(canvas.squeeze(), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    for label, row in (labels or {}).items():
        axes.text(-4, (row + 0.5) * (height + 1), label, ha="right", va="center", fontsize=9)
    axes.autoscale(False)
    for row in ends:
        # Outside the images, so that each of their pixels stays as it is.
        at = row * (height + 1) - 1
        axes.plot([-margin / _SCALE, -2], [at, at], "k", linewidth=0.8, clip_on=False)
    if title:
        figure.text(0.5, 1 - top / size[1] / 2, title, ha="center", va="center", fontsize=9)
    save_figure(figure, path)

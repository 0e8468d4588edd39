"""Pictures of a model: what it draws, what its code keeps, how it was trained."""

import csv
import pathlib

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Pixels of the picture for each pixel of an image, and for each inch of matplotlib's.
_SCALE, _DPI = 2, 100
# Of the lines between images, on a scale from paper to ink.
_LINE = 0.25


def plot_samples(images, path, columns=None):
    """Draw images in a grid.

    Args:
        images: binary or intensities, `(n, height, width, 1 or 3)`, such as `VLAE.sample` gives.
        path: of the picture; the suffix decides the format.
        columns: of the grid; about as many as rows unless given.

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


def plot_reconstructions(model, images, path, draws=4, seed=0):
    """Draw images above several reconstructions from the code of each.

    All of a column are drawn from one code: what stays the same, the code keeps; what changes from
    row to row, the decoder makes up.

    Args:
        model: a `VLAE`.
        images: binary, `(n, *image_shape)`; one column each.
        path: of the picture; the suffix decides the format.
        draws: reconstructions of each image.
        seed: of the reconstructions.

    Raises:
        ValueError: for images the model does not take, or fewer than one draw.

    Example:
        >>> import numpy as np, vlae_tf
        >>> from vlae_tf.evaluation import plot_reconstructions
        >>> model = vlae_tf.VLAE((8, 8, 1), latent_dim=2)
        >>> plot_reconstructions(model, np.zeros((3, 8, 8, 1)), "reconstructions.png", draws=2)
    """
    if not isinstance(draws, (int, np.integer)) or draws < 1:
        raise ValueError(f"`draws` must be a positive integer. Received: draws={draws!r}")
    code = model.encode(images)
    again = model.decode(np.tile(code, (draws, 1)), seed=seed)
    grid = np.concatenate([_images(images), _images(again)])
    labels = {"originals": 0, "from their codes": (1 + draws) / 2}
    _draw(grid.reshape(draws + 1, len(code), *grid.shape[1:]), path, labels=labels)


def plot_rows(rows, path):
    """Draw rows of images below each other, each with a label.

    Args:
        rows: dict of label to images, binary or intensities, `(n, height, width, 1 or 3)`, of the
            same shape in all rows; or to several rows of them, one below the other.
        path: of the picture; the suffix decides the format.

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
    grid, labels, ends = [], {}, []
    for label, images in rows.items():
        several = images if np.ndim(images) == 5 else [images]
        labels[label] = len(grid) + (len(several) - 1) / 2
        grid.extend(_images(row) for row in several)
        ends.append(len(grid))
    _draw(np.stack(grid), path, labels=labels, ends=ends[:-1] if len(grid) > len(rows) else ())


def plot_history(history, path, earlier_epochs=0, bits_per_dim=False):
    """Draw the training curves: the bound, and the length of the code.

    The bound's first epochs leave the frame where they would hide the last ones.

    Args:
        history: the `history.csv` of a run.
        path: of the picture; the suffix decides the format.
        earlier_epochs: of the runs that this one goes on from: its own are counted from there.
        bits_per_dim: whether to tell the bound in bits/dim rather than in nats.

    Raises:
        ValueError: if the file holds no finished epoch.

    Example:
        >>> import pathlib
        >>> from vlae_tf.evaluation import plot_history
        >>> _ = pathlib.Path("history.csv").write_text("epoch,elbo,code_bits\\n0,-90,9\\n")
        >>> plot_history("history.csv", "history.png")
    """
    with pathlib.Path(history).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(
            "`history` must be the history.csv of a run with at least one finished epoch. "
            f"Received: history={str(history)!r}"
        )
    epochs = [int(row["epoch"]) + 1 + earlier_epochs for row in rows]
    figure = Figure(figsize=(8, 3), dpi=_DPI, layout="constrained")
    bound = ("elbo", "-ELBO (nats)", -1)
    if bits_per_dim:
        bound = ("bits_per_dim", "-ELBO (bits/dim)", 1)
    panels = bound, ("code_bits", "code (bits)", 1)
    for axes, (key, label, sign) in zip(figure.subplots(1, 2), panels, strict=True):
        shown = []
        for prefix, name in (("", "training"), ("val_", "validation")):
            # Keras writes NA for what an epoch did not measure.
            if rows[0].get(prefix + key, "NA") != "NA":
                values = np.array([sign * float(row[prefix + key]) for row in rows])
                axes.plot(epochs, values, label=name, marker="." if len(rows) < 20 else None)
                shown.append(values)
        if key == bound[0]:
            _look_at_the_end(axes, np.array(shown))
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)


def _look_at_the_end(axes, curves):
    """The first epochs leave the frame, so that the last ones can be told apart."""
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
    a line in the margin after the rows that `ends` counts."""
    rows, columns, height, width, channels = grid.shape
    # A line of one pixel below and right of each image, and none at the picture's edge.
    line = _LINE if channels == 1 else 1 - _LINE
    grid = np.pad(grid, [(0, 0), (0, 0), (0, 1), (0, 1), (0, 0)], constant_values=line)
    canvas = grid.transpose(0, 2, 1, 3, 4).reshape(rows * (height + 1), columns * (width + 1), -1)
    canvas = canvas[:-1, :-1]

    # In pixels: the images, a margin for the labels, a line for the title.
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
        # Outside the images, of which each pixel stays what it is.
        at = row * (height + 1) - 1
        axes.plot([-margin / _SCALE, -2], [at, at], "k", linewidth=0.8, clip_on=False)
    if title:
        figure.text(0.5, 1 - top / size[1] / 2, title, ha="center", va="center", fontsize=9)
    figure.savefig(path)

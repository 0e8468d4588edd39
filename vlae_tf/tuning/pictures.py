"""Pictures of a search."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter

from vlae_tf import evaluation
from vlae_tf.files import save_figure
from vlae_tf.runs import load_run


def plot_curves(results, path):
    """NLL, length of the code and active units against the latent size, and NLL against length.

    Args:
        results: `SearchResults`; completed trials are dots, and the line goes through the best of
            each latent size.
        path: path of the picture.
    """
    figure = Figure(figsize=(12, 3), dpi=100, layout="constrained")
    *panels, trade = figure.subplots(1, 4)
    for axes, name in zip(panels, ("nll", "code_bits", "active_units"), strict=True):
        _plot(axes, results, "latent_dim", name)
        axes.set_xscale("log", base=2)
        axes.set_xticks([trial.latent_dim for trial in results.of_each_size])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
    panels[-1].yaxis.set_major_locator(MaxNLocator(integer=True))

    _plot(trade, results, "code_bits", "nll")
    for trial in results.of_each_size:
        point = trial.metrics["code_bits"], results.in_unit(trial, trial.metrics["nll"])
        trade.annotate(
            str(trial.latent_dim), point, xytext=(4, 4), textcoords="offset points", fontsize=8
        )
    save_figure(figure, path)


def plot_codes(trials, images, path):
    """Images, and below them one drawn from the code of each, a row for each trial."""
    rows = {"originals": images}
    for trial in trials:
        again = load_run(trial.folder, "float32").reconstruct(images, seed=0)
        rows[f"size {trial.latent_dim}, {trial.metrics['code_bits']:.0f} bits"] = again
    evaluation.plot_rows(rows, path)


_LABELS = {
    "latent_dim": "latent size",
    "nll": "NLL",
    "code_bits": "code (bits)",
    "active_units": "active units",
}


def _plot(axes, results, x, y):
    for trials, style in ((results.completed, ".C7"), (results.of_each_size, "oC0-")):
        points = [
            {"latent_dim": trial.latent_dim, **trial.metrics}
            | {"nll": results.in_unit(trial, trial.metrics["nll"])}
            for trial in trials
        ]
        axes.plot([point[x] for point in points], [point[y] for point in points], style)
    axes.set_xlabel(_LABELS[x])
    axes.set_ylabel(f"NLL ({results.unit})" if y == "nll" else _LABELS[y])
    axes.spines[["top", "right"]].set_visible(False)

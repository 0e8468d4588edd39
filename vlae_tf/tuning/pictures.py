"""Pictures of a search."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter

from vlae_tf import evaluation
from vlae_tf.runs import load_run


def plot_curves(results, path):
    """NLL, length of the code and active units against the latent size, and NLL against length.

    Args:
        results: the `SearchResults`: completed trials are dots, and the line goes through the best
            of each latent size.
        path: of the picture.
    """
    completed, sizes = results.completed, results.of_each_size
    figure = Figure(figsize=(12, 3), dpi=100, layout="constrained")
    *panels, trade = figure.subplots(1, 4)
    quantities = {"nll": "NLL (nats)", "code_bits": "code (bits)", "active_units": "active units"}
    for axes, (name, label) in zip(panels, quantities.items(), strict=True):
        for shown, style in ((completed, ".C7"), (sizes, "oC0-")):
            axes.plot([r.latent_dim for r in shown], [r.metrics[name] for r in shown], style)
        axes.set_xscale("log", base=2)
        axes.set_xticks([result.latent_dim for result in sizes])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("latent size")
        axes.set_ylabel(label)
    panels[-1].yaxis.set_major_locator(MaxNLocator(integer=True))

    for shown, style in ((completed, ".C7"), (sizes, "oC0-")):
        metrics = [result.metrics for result in shown]
        trade.plot([m["code_bits"] for m in metrics], [m["nll"] for m in metrics], style)
    for result in sizes:
        point = result.metrics["code_bits"], result.metrics["nll"]
        trade.annotate(
            str(result.latent_dim), point, xytext=(4, 4), textcoords="offset points", fontsize=8
        )
    trade.set_xlabel("code (bits)")
    trade.set_ylabel("NLL (nats)")
    for axes in (*panels, trade):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def plot_codes(sizes, images, path):
    """Images, and below them one drawn from the code of each, a row for each latent size."""
    rows = {"originals": images}
    for result in sizes:
        again = load_run(result.folder, "float32").reconstruct(images, seed=0)
        rows[f"size {result.latent_dim}, {result.metrics['code_bits']:.0f} bits"] = again
    evaluation.plot_rows(rows, path)

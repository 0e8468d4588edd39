"""Draws docs/compute.png and renews the table of docs/compute.md: likelihood against training time.

python -m docs.draw_compute

What an entry had on its way to today's weights is in docs/compute.csv.
"""

import csv
from pathlib import Path

import matplotlib.pyplot as plt

from vlae_tf import catalogue
from vlae_tf.files import write_between
from vlae_tf.records import epochs_and_seconds, read_metrics, read_run

HERE = Path(__file__).parent
BEGIN, END = "<!-- compute: written by docs.draw_compute -->", "<!-- end of compute -->"
# By data set: the unit, its place in metrics.json, and published results: the model, the minutes of
# a device times the devices, and the likelihood.
PANELS = {
    "mnist_dynamic": ("nats", "nll", [("NVAE (V100)", 21 * 60 * 2, 78.01)]),
    "cifar10": (
        "bits/dim",
        "bits_per_dim",
        [
            ("PixelCNN++ (TITAN X)", 10 * 60 * 8, 3.00),
            ("PixelCNN++ (TITAN X)", 5 * 24 * 60 * 8, 2.92),
        ],
    ),
}
# Models of fewer colours than the data have another likelihood.
OTHER_DATA = ("cifar10_lossy_7x4_grey",)


def main():
    figure, axes = plt.subplots(1, len(PANELS), figsize=(11, 4.5))
    for axis, (dataset, (unit, key, published)) in zip(axes, PANELS.items(), strict=True):
        lines = []
        for entry, rows in measured(dataset, key).items():
            points = [(row["minutes"], row["likelihood"]) for row in rows]
            lines += axis.plot(*zip(*points, strict=True), "o-", label=entry)
        for name, minutes, likelihood in published:
            place = minutes, likelihood
            axis.plot(*place, "k^", markerfacecolor="none")
            axis.annotate(name, place, (-6, 6), ha="right", textcoords="offset points")
        axis.set(xlabel="minutes of a core (triangles: of a GPU)", ylabel=f"test {unit}")
        axis.set(xscale="log", title=dataset)
        axis.legend(handles=lines, fontsize=8)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(HERE / "compute.png", dpi=110)
    write_between("page", HERE / "compute.md", BEGIN, END, table())


def table():
    lines = ["| model | epochs | minutes | images × samples | test likelihood |"]
    lines.append("|---|---|---|---|---|")
    for dataset, (unit, key, published) in PANELS.items():
        for entry, rows in measured(dataset, key).items():
            lines += [table_row(entry, row, unit) for row in rows]
        lines += [
            f"| {name}, published | - | {minutes:,} of a GPU | all | {likelihood:.2f} {unit} |"
            for name, minutes, likelihood in published
        ]
    return "\n".join([*lines, ""])


def measured(dataset, key):
    """For each entry of a data set its likelihoods in the order of their training time."""
    way = list(csv.DictReader((HERE / "compute.csv").read_text().splitlines()))
    entries = {}
    for name, folder in catalogue.entries(own=False).items():
        metrics, run = read_metrics(folder / "metrics.json"), read_run(folder / "run.json")
        if metrics["dataset"] != dataset or name in OTHER_DATA:
            continue
        epochs, seconds = epochs_and_seconds(run)
        rows = [
            {
                "epochs": int(row["epochs"]),
                "minutes": int(row["minutes"]),
                "images": int(row["images"]),
                "samples": int(row["samples"]),
                "likelihood": float(row["likelihood"]),
            }
            for row in way
            if row["entry"] == name
        ]
        # Of as many samples as the point before, to be compared with it.
        blocks = metrics["likelihood"]
        like_before = [b for b in blocks if rows and b["importance_samples"] == rows[-1]["samples"]]
        best = (like_before or blocks)[0]
        rows.append(
            {
                "epochs": epochs,
                "minutes": round(seconds / 60),
                "images": best["num_images"],
                "samples": best["importance_samples"],
                "likelihood": best[key],
            }
        )
        entries[name] = rows
    return entries


def table_row(entry, row, unit):
    likelihood = f"{row['likelihood']:.{2 if unit == 'nats' else 3}f} {unit}"
    samples = f"{row['images']:,} × {row['samples']:,}"
    return (
        f"| `{entry}` | {row['epochs']} | {row['minutes']:,} of a core | {samples} | {likelihood} |"
    )


if __name__ == "__main__":
    main()

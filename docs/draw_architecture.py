"""Draws architecture.svg, the rooms of the package and the arrows between them, from its imports.

python -m docs.draw_architecture
"""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Line

from tests import architecture

ROOT = Path(__file__).parents[1]

# Where a room stands on its floor; a room that is missing here stands at the left.
COLUMNS = {
    "start_up": 11.8,
    "units": 2.5,
    "checks": 7.0,
    "seeds": 9.6,
    "catalogue": 0.8,
    "files": 0.8,
    "backend": 4.6,
    "serving": 11.2,
    "noise": 7.3,
    "pictures": 2.5,
    "records": 0.3,
    "datasets": 2.5,
    "serving.client": 10.0,
    "layers": 4.6,
    "distributions": 5.7,
    "networks": 2.5,
    "posteriors": 4.0,
    "priors": 5.7,
    "likelihoods": 7.4,
    "objectives": 9.7,
    "saved_model": 9.4,
    "models": 5.2,
    "serving.server": 11.2,
    "coding": 8.4,
    "runs": 4.6,
    "training": 6.6,
    "evaluation": 4.6,
    "explorer": 4.6,
    "zoo": 4.6,
    "tuning": 6.6,
    "cli": 5.6,
}
# What a room holds, in a few words.
HOLDS = {
    "start_up": "a quiet TensorFlow",
    "units": "nats, bits/dim",
    "checks": "argument checks",
    "seeds": "one seed a row",
    "catalogue": "recipes, entries",
    "files": "whole-file writes",
    "backend": "TensorFlow or JAX",
    "serving": "errors, messages",
    "noise": "noise for each row",
    "pictures": "own images",
    "records": "files of a run",
    "datasets": "images by name",
    "serving.client": "asks a server",
    "layers": "masked, PixelCNN",
    "distributions": "of codes, of images",
    "networks": "encoders, decoders",
    "posteriors": "q(z | x)",
    "priors": "p(z)",
    "likelihoods": "p(x | z)",
    "objectives": "loss and terms",
    "saved_model": "export, signatures",
    "models": "VAE, VLAE",
    "serving.server": "local server",
    "coding": ".vlae files",
    "runs": "recipe, data, record",
    "training": "fit, callbacks",
    "evaluation": "likelihood, plots",
    "zoo": "trained models",
    "tuning": "search",
    "cli": "vlae-tf",
}
# Corners of the arrows that would cross a box if they were straight.
CORNERS = {
    ("cli", "coding"): [(8.4, 13.2)],
    ("cli", "serving.client"): [(12.3, 11.4), (12.3, 2.6), (10.6, 2.6)],
    ("runs", "datasets"): [(1.5, 7.3), (1.5, 2.6)],
    ("models", "files"): [(0.8, 6.3)],
    ("models", "networks"): [(2.5, 5.8)],
    ("models", "seeds"): [(8.42, 5.6), (8.42, 1.2)],
    ("objectives", "layers"): [(7.0, 3.5)],
    ("datasets", "checks"): [(2.5, 0.6)],
}
KINDS = {"without Keras": "#e8e8e8", "Keras": "#d6e6f5", "may import TensorFlow": "#fbe3c5"}
WIDTH, HEIGHT = 1.55, 0.54


def kind(room):
    if room in architecture.NUMPY_ALONE:
        return "without Keras"
    return "may import TensorFlow" if room in architecture.LIBRARIES["tensorflow"] else "Keras"


def place(room):
    return COLUMNS.get(room, 0.7), architecture.FLOOR[room]


def draw(target):
    figure, axes = plt.subplots(figsize=(12, 11))
    arrows = sorted(architecture.direct_arrows(ROOT / "vlae_tf"))
    for source, end in arrows:
        (x0, y0), (x1, y1) = place(source), place(end)
        # The arrows of a room leave, and reach, its edge at points of their own.
        leaving = sorted(place(b)[0] for a, b in arrows if a == source)
        reaching = sorted(place(a)[0] for a, b in arrows if b == end)
        x0 += _share(leaving, x1)
        x1 += _share(reaching, place(source)[0])
        corners = CORNERS.get((source, end), [])
        points = [(x0, y0 - HEIGHT / 2), *corners, (x1, y1 + HEIGHT / 2)]
        arrow = FancyArrowPatch(
            path=Line(points), arrowstyle="-|>", mutation_scale=13, color="#555555", zorder=1
        )
        arrow.set_gid(f"arrow {source} {end}")
        axes.add_patch(arrow)
    for room in architecture.FLOOR:
        x, y = place(room)
        box = FancyBboxPatch(
            (x - WIDTH / 2, y - HEIGHT / 2),
            WIDTH,
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=KINDS[kind(room)],
            edgecolor="#333333",
            zorder=2,
        )
        axes.add_patch(box)
        name = room.replace(".", "/")
        axes.text(x, y + 0.09, name, ha="center", va="center", fontsize=9.5, weight="bold")
        axes.text(x, y - 0.13, HOLDS.get(room, ""), ha="center", va="center", fontsize=7.5)
    handles = [Patch(facecolor=c, edgecolor="#333333", label=k) for k, c in KINDS.items()]
    axes.legend(handles=handles, loc="upper left", frameon=False, fontsize=9)
    axes.set_xlim(0, 12.4)
    axes.set_ylim(-0.5, len(architecture.FLOORS) - 0.4)
    axes.axis("off")
    figure.savefig(target, bbox_inches="tight", metadata={"Date": None})


def _share(positions, position):
    """Where on a room's edge the arrow to or from this position starts or ends."""
    index, count = positions.index(position), len(positions)
    return WIDTH * 0.8 * ((index + 0.5) / count - 0.5)


if __name__ == "__main__":
    plt.rcParams["svg.hashsalt"] = "vlae_tf"
    draw(ROOT / "docs" / "architecture.svg")

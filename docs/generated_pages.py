"""Pages of the site that are made of the package and the zoo, so that no figure is typed by hand.

Written into docs/generated/ at each build: the entries of the zoo with their pictures and cards,
the data sets, the equations of the papers, and the reference of the public classes.
"""

import importlib
import inspect
import json
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
ZOO = ROOT / "zoo"


def write(folder):
    """Write all generated pages below `folder`, in place of those of an earlier build."""
    shutil.rmtree(folder, ignore_errors=True)
    for pages in (zoo_pages, dataset_pages, equation_pages, reference_pages):
        for name, text in pages(folder).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def zoo_pages(folder):
    """One page an entry, its card, and one page that shows them all."""
    from vlae_tf.zoo.tables import results_table

    names = sorted(card.parent.name for card in ZOO.glob("*/card.md"))
    pages, shown = {}, []
    for name in names:
        target = folder / "zoo" / name
        target.mkdir(parents=True)
        for path in [*(ZOO / name).glob("*.png"), *(ZOO / name).glob("*.json")]:
            shutil.copy(path, target)
        pages[f"zoo/{name}/card.md"] = (ZOO / name / "card.md").read_text(encoding="utf-8")
        picture = f"![{name}: test images above what is drawn from their codes]"
        shown.append(f"## [{name}]({name}/card.md)\n\n{picture}({name}/reconstructions.png)\n")
    pages["zoo/index.md"] = (
        "# The zoo\n\n`vlae_tf.zoo.load(NAME)` gives each of these models, without a network. Nats "
        "an image on the test set or, for colour images, bits a dimension; lower is better.\n\n"
        + results_table().replace("(zoo/", "(")
        + "\nIn each picture, test images are in the top row, and images drawn from the code of "
        "each below: what stays is in the code.\n\n"
        + "\n".join(shown)
        + _contents([f"{name}/card" for name in names], hidden=True)
    )
    return pages


def dataset_pages(folder):
    """One page a named data set: what it is, its splits, and the entries trained on it."""
    from vlae_tf.datasets import DATASETS

    pages = {f"datasets/{info.name}.md": _dataset_page(info) for info in DATASETS.values()}
    pages["datasets/index.md"] = (
        "# Data sets\n\n`vlae_tf.datasets.load(NAME, split)` reads these through TFDS. Your own "
        "images: [own_data.md](../../own_data.md).\n" + _contents(list(DATASETS))
    )
    return pages


_BINARISATION = {
    "static": "Pixels are 0 and 1, drawn once and for all.",
    "dynamic": "Pixels are drawn as Bernoulli(intensity / 255): those of training images afresh in "
    "each epoch, those of validation and test images once.",
    "none": "Pixels are colours of 256 levels, and are not binarised.",
}


def _dataset_page(info):
    sizes = "\n".join(f"| {split} | {size:,} |" for split, size in info.sizes.items())
    entries = [
        f"- [{path.parent.name}](../zoo/{path.parent.name}/card.md)"
        for path in sorted(ZOO.glob("*/metrics.json"))
        if json.loads(path.read_text(encoding="utf-8"))["dataset"] == info.name
    ]
    height, width, channels = info.image_shape
    return (
        f"# {info.name}\n\n{info.source}\n\nImages: {height} x {width}, {channels} "
        f"channel{'s' if channels > 1 else ''}. {_BINARISATION[info.binarisation]} "
        f"Licence: {info.licence}.\n\n| split | images |\n|---|---|\n{sizes}\n\n"
        f"```python\nimport vlae_tf\n\ntrain = vlae_tf.datasets.load(\"{info.name}\", \"train\", "
        "batch_size=64, shuffle=True)\n```\n\nIf it is not prepared: "
        f"`python -m vlae_tf.datasets {info.name}` downloads and prepares it.\n\n"
        + ("## Trained entries\n\n" + "\n".join(entries) + "\n" if entries else "")
    )


_ROOMS_WITH_EQUATIONS = {
    "objectives": "Objectives",
    "posteriors": "Posteriors",
    "priors": "Priors",
    "likelihoods": "Likelihoods",
    "distributions": "Distributions",
    "networks": "Networks",
    "layers": "Layers",
}


def equation_pages(folder):
    """The equation of each public class, and the paper it is from: all of it from docstrings."""
    lines = [
        "# Equations and code\n\nEach public class with the equation it computes and the paper it "
        "is from, as its docstring has them.\n"
    ]
    for room, title in _ROOMS_WITH_EQUATIONS.items():
        module = importlib.import_module(f"vlae_tf.{room}")
        lines.append(f"## {title}\n")
        for name in module.__all__:
            sections = inspect.cleandoc(getattr(module, name).__doc__).split("\n\n")
            source = [text for text in sections if text.startswith("Reference:\n")]
            equation = [text for text in sections[1:] if text.startswith("    ")]
            before = next((i for i, text in enumerate(sections) if text.startswith("Args:")), None)
            if source and equation and (before is None or equation[0] in sections[:before]):
                words = " ".join(source[0].split()[1:])
                link = f"[`{name}`](reference/{room}.md)"
                lines.append(f"{link}\n\n```text\n{inspect.cleandoc(equation[0])}\n```\n\n{words}\n")
    return {"equations.md": "\n".join(lines)}


def reference_pages(folder):
    """One page a room of the package, with the docstrings of its public names."""
    import vlae_tf

    rooms = [name for name in vlae_tf.__all__ if name.islower() and not name.startswith("_")]
    pages = {}
    for room in rooms:
        module = f"vlae_tf.{room}"
        directive = f".. automodule:: {module}\n   :members:\n   :show-inheritance:"
        pages[f"reference/{room}.md"] = f"# `{module}`\n\n```{{eval-rst}}\n{directive}\n```\n"
    pages["reference/index.md"] = (
        "# Reference\n\nThe public classes and functions, by room. Importing `vlae_tf` imports no "
        "other package; each room is loaded at its first use.\n" + _contents(rooms)
    )
    return pages


def _contents(names, hidden=False):
    lines = "\n".join(names)
    return f"\n```{{toctree}}\n{':hidden:' if hidden else ':maxdepth: 1'}\n\n{lines}\n```\n"


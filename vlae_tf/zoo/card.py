"""The card of an entry: what it is, its likelihood, its training, its licence."""

import json
import pathlib

from vlae_tf import catalogue
from vlae_tf.datasets import DATASETS
from vlae_tf.evaluation import rung_table
from vlae_tf.evaluation.units import number_of_images
from vlae_tf.models.folder import read_part
from vlae_tf.networks import ChainDecoder
from vlae_tf.objectives import (
    ImportanceWeightedELBO,
    InfoELBO,
    MutualPosteriorDivergenceELBO,
)
from vlae_tf.posteriors import LadderPosterior, LaplacePosterior, MixturePosterior
from vlae_tf.priors import GaussianMixturePrior
from vlae_tf.zoo.tables import control_sentence, facts, likelihood_table, remarks

_CARD = """---
{front}
---

# {name}

```python
import vlae_tf

vlae = vlae_tf.zoo.load({source})
images = vlae.sample(16, seed=0)
```

{system} for {dataset}: {parameters:,} parameters,
a code of {latent_dim} numbers, and {window}.

![Test images above what is drawn from their codes](reconstructions.png)

Top row: test images. Below: images drawn from the code of each. What stays the same is in the code.

![Samples](samples.png)
{rungs}
## Likelihood

{binarisation} binarisation, split `{split}`, seed {seed} for noise and draw; nats an image unless
another unit is given.

{likelihood}

The control, the same decoder trained without a code: {control}. {remarks}

Measured with

```sh
{evaluated}
```

## Training

![Training curves](history.png)

{epochs} of the recipe's {all_epochs} epochs over {images:,} images (`{train_split}`), {hours:.1f}
hours on {cores} ({cpu}){earlier}. {unfinished}{fit}

```sh
{trained}
```

The recipe is [recipe.json](recipe.json){origin}.

## Licence

Weights: {weights}. {licence}

## Notes

{notes}
"""


def card(name, folder):
    """The card of an entry, Markdown, from its files; no weights are loaded."""
    told, metrics, recipe = facts(folder)
    told["binarisation"] = told["binarisation"].capitalize()
    entry = catalogue.read_entry(folder, "entry")
    return _CARD.format(
        **told,
        name=name,
        system=_system(folder),
        rungs=_rungs(folder),
        front=_front_matter(name, told["dataset"], entry["licence"], metrics),
        source=json.dumps(entry["source"]),
        window=_window(entry),
        weights=entry["licence"] or "licence not stated",
        seed=metrics["seed"],
        likelihood=likelihood_table(metrics),
        control=control_sentence(metrics, told["epochs_in_all"]),
        remarks=remarks(name, metrics),
        unfinished=_unfinished(told),
        origin=_origin(recipe),
        train_split=recipe["train_split"],
        fit=_fit(recipe),
        licence=_licence(recipe["dataset"]),
        notes=recipe["notes"] or "None.",
    )


def _front_matter(name, dataset, licence, metrics):
    """What the Hugging Face Hub reads of a card, YAML: licence, data set, and measured figures.

    Texts are in JSON's form, which is YAML's too. Of own images the name is told, not the path.
    """
    dataset = json.dumps(pathlib.PurePath(dataset).name)
    lines = [
        *([f"license: {json.dumps(licence.lower())}"] if licence else []),
        "library_name: keras",
        "pipeline_tag: unconditional-image-generation",
        "tags: [vlae_tf, variational-autoencoder]",
        f"datasets: [{dataset}]",
        "model-index:",
        f"- name: {json.dumps(name)}",
        "  results:",
    ]
    for block in metrics["likelihood"]:
        of = f"{number_of_images(block, metrics)} images, {block['importance_samples']:,} samples"
        told = {
            "nll": (f"NLL in nats ({of})", block["nll"]),
            "bits_per_dim": (f"bits/dim ({of})", block["bits_per_dim"]),
            "code_bits": (f"code bits ({of})", block["code_bits"]),
        }
        lines += [
            "  - task: {type: unconditional-image-generation}",
            f"    dataset: {{name: {dataset}, type: {dataset}, split: {metrics['split']}}}",
            "    metrics:",
            *(
                f"    - {{name: {json.dumps(label)}, type: {kind}, value: {value:.6g}}}"
                for kind, (label, value) in told.items()
            ),
        ]
    return "\n".join(lines)


def _window(entry):
    if not entry["window_pixels"]:
        return "a factorised decoder"
    return f"a decoder whose window is {entry['window']}"


def _system(folder):
    parts = {part: read_part(folder, part) for part in {part for part, *_ in _SYSTEMS}}
    for part, known, name in _SYSTEMS:
        if isinstance(parts[part], known):
            return name
    return "A Variational Lossy Autoencoder (Chen et al., ICLR 2017)"


# By the part that makes a system what it is; the first that fits.
_SYSTEMS = (
    (
        "prior_family",
        GaussianMixturePrior,
        "A ladder whose rungs have mixtures of Gaussians as priors (VLAC, Willetts et al., 2019, "
        "as repaired in MFCVAE, Falck et al., NeurIPS 2021)",
    ),
    (
        "posterior_family",
        LadderPosterior,
        "A Variational Ladder Autoencoder (Zhao et al., ICML 2017)",
    ),
    (
        "posterior_family",
        LaplacePosterior,
        "A Variational Laplace Autoencoder (Park et al., ICML 2019)",
    ),
    (
        "posterior_family",
        MixturePosterior,
        "A VAE whose posterior is a mixture (recursive inference, Kim & Pavlovic, NeurIPS 2020)",
    ),
    ("decoder", ChainDecoder, "A sequential VAE (Zhao et al., 2017)"),
    (
        "objective",
        ImportanceWeightedELBO,
        "An importance-weighted autoencoder (Burda et al., ICLR 2016)",
    ),
    ("objective", InfoELBO, "An InfoVAE (Zhao et al., AAAI 2019)"),
    ("objective", MutualPosteriorDivergenceELBO, "An MAE (Ma et al., ICLR 2019)"),
)


def _rungs(folder):
    """What each rung of a ladder holds; nothing for other models."""
    parts = []
    if (folder / "manifolds.png").is_file():
        parts.append(
            "![A grid of images for each rung](manifolds.png)\n\n"
            "In each grid one rung of two numbers changes; the others stay at the prior's centre."
        )
    if (folder / "clusters.png").is_file():
        parts.append(
            "![New images from each cluster](clusters.png)\n\n"
            "New images from each cluster of the rung at the top, beside its weight in the prior "
            "and its number; the other rungs are drawn from the prior."
        )
    if (folder / "rungs.json").is_file():
        parts.append(
            "What each rung tells alone (`vlae-tf rungs`; controls, other seeds and what the "
            "columns mean: [docs/relatives](../../docs/relatives.md)):\n\n"
            + rung_table([folder]).rstrip()
        )
    return "".join(f"\n{part}\n" for part in ["## Rungs", *parts]) if parts else ""


def _licence(dataset):
    known = DATASETS.get(dataset)
    return f"Data: {known.licence}. {known.source}" if known else "Data: the user's own."


def _unfinished(told):
    if told["epochs"] == told["all_epochs"]:
        return ""
    return (
        "The run is not finished: these are the averaged weights of its last whole epoch, before "
        "the learning rate had come down. "
    )


def _origin(recipe):
    if not recipe["initial_weights"]:
        return ""
    return "; it continues an earlier run, whose weights and curves are not kept"


def _fit(recipe):
    if recipe["train_split"] == "train+validation":
        return "A final fit to training and validation images together, as in the paper."
    if "Ladder" in (recipe["model"].get("encoder") or {}).get("class_name", ""):
        return "Trained on the training images alone."
    return "Trained on the training images alone; the paper's final fit adds the validation images."

"""From an evaluated run to an entry of the zoo."""

import json
import pathlib
import shutil
import tempfile

import numpy as np

from vlae_tf.datasets import DATASETS
from vlae_tf.evaluation import plot_history, plot_reconstructions, plot_samples
from vlae_tf.evaluation.evaluate_run import log_prob_path
from vlae_tf.evaluation.units import unit, window
from vlae_tf.files import read_metrics, sha256, write_text
from vlae_tf.models import importance_weighted_log_prob
from vlae_tf.runs import Recipe, load_run
from vlae_tf.runs.data import split_images
from vlae_tf.zoo.tables import control_sentence, facts, likelihood_table, published_sentence

EXAMPLES = 64
# So many of them, with as many samples, are estimated anew by the test suite.
CHECKED = 16
_COPIED = (
    "config.json",
    "model.weights.h5",
    "recipe.json",
    "run.json",
    "metrics.json",
    "history.csv",
)


def publish(run, folder, data_dir=None):
    """Make a zoo entry of a run that `vlae-tf evaluate` has measured.

    Args:
        run: folder of the run.
        folder: of the entry, made or replaced in one move when everything is there.
        data_dir: where TFDS keeps its data.

    Raises:
        ValueError: if the run has not been measured, or what was measured of each image is gone.
    """
    run, folder = pathlib.Path(run), pathlib.Path(folder)
    missing = [name for name in _COPIED if not (run / name).is_file()]
    if missing:
        raise ValueError(
            "`run` must be a finished run with its metrics, see `vlae-tf evaluate --help`. "
            f"Received: run={str(run)!r} without {', '.join(missing)}"
        )
    metrics = read_metrics(run / "metrics.json")
    weights = sha256(run / "model.weights.h5")
    if weights != metrics["weights_sha256"]:
        raise ValueError(
            "`run` must have metrics of its own weights: evaluate it again. "
            f"Received: run={str(run)!r} with weights of sha256 {weights}"
        )
    log_probs = [_log_prob(run, block) for block in metrics["likelihood"]]
    probes = [path for path in (run / "probe.json", folder / "probe.json") if _is_of(path, weights)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".publishing-") as temporary:
        entry = pathlib.Path(temporary) / folder.name
        entry.mkdir()
        for path in [*(run / name for name in _COPIED), *log_probs, *probes[:1]]:
            shutil.copy(path, entry)
        model = load_run(entry, "float32")  # as `zoo.load` gives it
        recipe = Recipe.load(entry / "recipe.json")
        images = split_images(recipe, metrics["split"], metrics["seed"], data_dir)
        rows = np.random.default_rng(metrics["seed"]).permutation(len(images))[:EXAMPLES]
        check = importance_weighted_log_prob(model, images[rows[:CHECKED]], CHECKED)
        np.savez_compressed(entry / "examples.npz", images=images[rows], log_prob=check)
        plot_reconstructions(model, images[rows][:12], entry / "reconstructions.png")
        plot_samples(model.sample(64, seed=0), entry / "samples.png", columns=16)
        draw_history(entry)
        write_text(entry / "card.md", card(folder.name, entry))
        _replace(folder, entry, pathlib.Path(temporary) / "before")


def draw_history(entry):
    """The training curves of an entry, from its files, in the unit of its likelihood."""
    told, metrics, _ = facts(entry)
    plot_history(
        entry / "history.csv",
        entry / "history.png",
        earlier_epochs=int(told["epochs_in_all"] - told["epochs"]),
        bits_per_dim=unit(metrics) == "bits/dim",
    )


def _is_of(probe, weights):
    """Whether there is such a file, of the codes of these weights."""
    return probe.is_file() and json.loads(probe.read_text()).get("weights_sha256") == weights


def _log_prob(run, block):
    """The file of a block's log-probabilities, which must be those that its mean was taken of."""
    path = log_prob_path(run / "metrics.json", block)
    if not path.is_file() or not np.isclose(-np.load(path).mean(dtype="float64"), block["nll"]):
        raise ValueError(
            "`run` must have the log-probabilities that its metrics are the mean of: evaluate it "
            f"again. Received: run={str(run)!r} without {path.name} of mean {-block['nll']:.4f}"
        )
    return path


def _replace(folder, entry, aside):
    """Two renames; what was there comes back if the second fails."""
    if not folder.exists():
        entry.rename(folder)
        return
    folder.rename(aside)
    try:
        entry.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise


def card(name, folder):
    """The card of an entry, Markdown, from its files."""
    told, metrics, recipe = facts(folder)
    told["binarisation"] = told["binarisation"].capitalize()
    return _CARD.format(
        **told,
        name=name,
        window=_window(load_run(folder).likelihood_family),
        seed=metrics["seed"],
        likelihood=likelihood_table(metrics),
        control=control_sentence(metrics, told["epochs_in_all"]),
        published=published_sentence(name, metrics),
        unfinished=_unfinished(told),
        origin=_origin(recipe),
        train_split=recipe["train_split"],
        fit=_fit(recipe),
        licence=_licence(recipe["dataset"]),
        notes=recipe["notes"] or "None.",
    )


_CARD = """# {name}

A Variational Lossy Autoencoder (Chen et al., ICLR 2017) for {dataset}: {parameters:,} parameters,
a code of {latent_dim} numbers, and {window}.

![Test images above what is drawn from their codes](reconstructions.png)

Top row: test images. Below: images drawn from the code of each. What stays the same is in the code.

![Samples](samples.png)

## Likelihood

{binarisation} binarisation, split `{split}`, noise and draw of seed {seed}; nats an image unless
said otherwise.

{likelihood}

The control, the same decoder trained without a code: {control}. {published}

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

Weights: Apache-2.0. {licence}

## Notes

{notes}
"""


def _window(likelihood_family):
    (_, pixels), shown = window(likelihood_family)
    return f"a decoder whose window is {shown}" if pixels else "a factorised decoder"


def _licence(dataset):
    known = DATASETS.get(dataset)
    return f"Data: {known.licence}. {known.source}" if known else "Data: the user's own."


def _unfinished(told):
    if told["epochs"] == told["all_epochs"]:
        return ""
    return (
        "The run is not finished: these are the averaged weights of its last whole epoch, and the "
        "learning rate had not yet come down. "
    )


def _origin(recipe):
    if not recipe["initial_weights"]:
        return ""
    return "; the weights of an earlier run that it goes on from are not kept, nor are their curves"


def _fit(recipe):
    if recipe["train_split"] == "train+validation":
        return "A final fit on training and validation images together, as in the paper."
    return "Trained on the training images alone; the paper's final fit adds the validation images."

"""The card of an entry: what it is, its likelihood, its training, its licence."""

from vlae_tf.datasets import DATASETS
from vlae_tf.evaluation.units import part_of, window
from vlae_tf.zoo.tables import control_sentence, facts, likelihood_table, remarks

_CARD = """# {name}

A Variational Lossy Autoencoder (Chen et al., ICLR 2017) for {dataset}: {parameters:,} parameters,
a code of {latent_dim} numbers, and {window}.

![Test images above what is drawn from their codes](reconstructions.png)

Top row: test images. Below: images drawn from the code of each. What stays the same is in the code.

![Samples](samples.png)

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

Weights: Apache-2.0. {licence}

## Notes

{notes}
"""


def card(name, folder):
    """The card of an entry, Markdown, from its files; no weights are loaded."""
    told, metrics, recipe = facts(folder)
    told["binarisation"] = told["binarisation"].capitalize()
    return _CARD.format(
        **told,
        name=name,
        window=_window(part_of(folder, "likelihood_family")),
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
    return "Trained on the training images alone; the paper's final fit adds the validation images."

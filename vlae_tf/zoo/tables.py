"""Results of all entries, from their metrics: the README's table, and a whole page."""

import pathlib

from vlae_tf import catalogue
from vlae_tf.evaluation.units import control_nll, number_of_images, number_of_samples
from vlae_tf.files import read_json, write_between, write_text
from vlae_tf.records import epochs_and_seconds, read_metrics, read_probe, read_run
from vlae_tf.units import plus_minus, rounded, unit

# Published results on the test set, in nats, or bits/dim for CIFAR-10: the paper's (Chen et al.,
# 2017, tables 1 to 5 and figure 4), and the best we know of. By data set, or by entry where a data
# set has several.
_STATIC_MNIST = "78.30, ladder VAE (addtt/ladder-vae-pytorch)"
_DYNAMIC_MNIST = "76.93, CR-NVAE (Sinha & Dieng, 2021)"
_CIFAR10 = "2.49, VDM with data augmentation (Kingma et al., 2021)"
PUBLISHED = {
    "mnist_static": (79.03, _STATIC_MNIST),
    # "AF VAE": the autoregressive flow as prior, and a factorised decoder.
    "mnist_static_factorised": (79.30, _STATIC_MNIST),
    # No likelihood was published for these.
    "mnist_ladder": None,
    "mnist_mixture_ladder": None,
    "mnist_dynamic_recursive": None,
    "mnist_dynamic_sequential": None,
    "mnist_static_info": None,
    # The papers' figures: with larger networks for the Laplace autoencoder, read off a figure.
    "mnist_dynamic_iwae": (84.78, _DYNAMIC_MNIST),
    "mnist_dynamic_iwae_2_layers": (82.90, _DYNAMIC_MNIST),
    # As Vahdat & Kautz (2020) quote it.
    "mnist_dynamic_mae": (77.98, _DYNAMIC_MNIST),
    "mnist_dynamic_laplace": (83.72, _DYNAMIC_MNIST),
    "mnist_dynamic": (78.53, _DYNAMIC_MNIST),
    "omniglot": (89.83, "87.79, LSGM (Vahdat et al., 2021)"),
    "caltech101_silhouettes": (77.36, "77.36, VLAE (Chen et al., 2017)"),
    "cifar10_resnet": (3.04, _CIFAR10),
    "cifar10_densenet": (2.95, _CIFAR10),
    "cifar10_lossy_4x2": (3.12, _CIFAR10),
    "cifar10_lossy_7x4": (2.95, _CIFAR10),
}
# Published results on data that are close to ours, but not the same.
_ON_OTHER_DATA = {"omniglot": " on chardata.mat"}
_BEGIN, _END = "<!-- results: written by `vlae-tf zoo table` -->", "<!-- end of results -->"


def results_table():
    """The results of all entries: a Markdown table of those in nats, and one of bits/dim."""
    rows = {}
    for name, folder in catalogue.entries(own=False).items():
        metrics = read_metrics(folder / "metrics.json")
        best = metrics["likelihood"][0]
        values = best["nll"], best["nll_standard_error"], -best["elbo"]
        nll, error, bound = (rounded(value, metrics) for value in values)
        without = control_nll(metrics, best)
        control = "-" if without is None else rounded(without, metrics)
        paper, known = published(name, metrics["dataset"]) or ("-", "-")
        rows.setdefault(unit(metrics), []).append(
            f"| [{name}](zoo/{name}/card.md) | **{nll}** ± {error} "
            f"| {number_of_images(best, metrics)} × {number_of_samples(best)} | {bound} "
            f"| {best['code_bits']:.1f} | {control} | {paper} | {known} |"
        )
    titles = {"nats": "test NLL", "bits/dim": "test bits/dim"}
    return "\n".join(_table(title, rows[kind]) for kind, title in titles.items() if kind in rows)


def _table(title, rows):
    head = "images × samples | -ELBO | code bits | without a code | paper | best known"
    return "\n".join(
        [f"| entry | {title} | {head} |", "|---|---|---|---|---|---|---|---|", *rows, ""]
    )


def published(name, dataset):
    """The paper's result for an entry, and the best that we know of; None if there is none."""
    found = PUBLISHED.get(name, PUBLISHED.get(dataset))
    return found and (f"{found[0]:.2f}{_ON_OTHER_DATA.get(dataset, '')}", found[1])


def likelihood_table(metrics):
    """Every evaluation of an entry: a Markdown table."""
    return "\n".join([_LIKELIHOOD, *(_likelihood_row(b, metrics) for b in metrics["likelihood"])])


_LIKELIHOOD = (
    "| images | importance samples | NLL (nats) | bits/dim | ELBO | KL | code bits | active units "
    "| dtype |\n|---|---|---|---|---|---|---|---|---|"
)


def _likelihood_row(block, metrics):
    return (
        f"| {number_of_images(block, metrics)} | {number_of_samples(block)} "
        f"| {plus_minus(block['nll'], block['nll_standard_error'], 2)} "
        f"| {block['bits_per_dim']:.4f} "
        f"| {block['elbo']:.2f} | {block['kl']:.2f} | {block['code_bits']:.1f} "
        f"| {_active(block)} | {block['dtype']} |"
    )


def _active(block):
    """The number of active units and, where they were counted, those of other thresholds."""
    others = dict(block.get("active_units_by_threshold", {}))
    others.pop("0.01", None)
    told = ", ".join(f"{count} at {threshold}" for threshold, count in others.items())
    return f"{block['active_units']} ({told})" if told else str(block["active_units"])


def renew_table(readme):
    """Puts `results_table()` between the marks of a README.

    Raises:
        ValueError: if the README lacks the marks; it is left as it was.
    """
    write_between("readme", pathlib.Path(readme), _BEGIN, _END, results_table())


def results_page():
    """Every evaluation of every entry, Markdown: the text of docs/results.md."""
    return "\n".join([_INTRODUCTION, *map(_section, catalogue.entries(own=False).values())])


def write_page(path):
    """Writes `results_page()`; makes the folder if there is none."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, results_page())


_INTRODUCTION = """# Results

Written by `vlae-tf zoo table --page docs/results.md` from the metrics that `vlae-tf evaluate`
wrote in each entry; do not edit it by hand. NLL is an importance-weighted estimate: in the mean
an upper bound, which more samples tighten. "(4.3 count)" says on how many of its samples the
estimate of an image rests in the mean: the fewer, the more it lies above the true value. ± is
its standard error over the images. A unit is active if the mean of its posterior varies over the
images with a variance above 0.01; a count can hang on that threshold, where variances lie close
to it, as those of mnist_dynamic do. The control is the same decoder trained without a code. The
recipe of an entry is the `recipe.json` in its folder.
"""

_SECTION = """## {name}

{dataset}, {binarisation} binarisation, split `{split}`; a code of {latent_dim} numbers,
{parameters:,} parameters.

{likelihood}

Control: {control}. {remarks}{probe}

Trained for {epochs} of {all_epochs} epochs on {images:,} images in {hours:.1f} hours on
{cores} ({cpu}), {backend}{earlier}. Weights: sha256 `{sha256:.12}...`

```sh
{trained}
{evaluated}
```
"""


def facts(folder):
    """The facts of an entry that its card and the page share, by name; its metrics; its recipe."""
    metrics, run = read_metrics(folder / "metrics.json"), read_run(folder / "run.json")
    recipe = read_json(folder / "recipe.json", "a recipe")
    last = run["parts"][-1]
    cores = last["hardware"]["cores"]
    told = {
        "dataset": recipe["dataset"],
        "binarisation": metrics["binarisation"].replace("none", "no"),
        "split": metrics["split"],
        "latent_dim": recipe["model"]["latent_dim"],
        "parameters": run["parameters"],
        "epochs": run["epochs"],
        "all_epochs": recipe["epochs"],
        "images": run["images"],
        "hours": run["wall_time_s"] / 3600,
        "cores": f"{cores} core{'s' if cores > 1 else ''}",
        "cpu": last["hardware"]["cpu"],
        "backend": last["backend"],
        "earlier": _earlier(run, recipe),
        "epochs_in_all": epochs_and_seconds(run)[0],
        "trained": last["command"],
        "evaluated": "\n".join(b["command"] for b in metrics["likelihood"] if b["command"]),
    }
    return told, metrics, recipe


def _earlier(run, recipe):
    if "earlier" in run:
        epochs, seconds = run["earlier"]["epochs"], run["earlier"]["wall_time_s"]
        return f", after {epochs} epochs in {seconds / 3600:.1f} hours of earlier runs"
    return ", starting from other weights" if recipe["initial_weights"] else ""


def remarks(name, metrics):
    """Sentences on published results and on how the weights are stored, where there are any."""
    sentences = []
    if found := published(name, metrics["dataset"]):
        sentences.append(
            f"Published ({unit(metrics)}): {found[0]} in the paper; best known to us {found[1]}."
        )
    if stored := metrics.get("stored"):
        sentences.append(
            f"The weights are stored as {stored['dtype']}, which changes log p(x) of "
            f"{stored['examples']} test images by {stored['mean_change_nats']:+.4f} nats in the "
            f"mean, and by at most {stored['largest_change_nats']:.4f}."
        )
    return " ".join(sentences)


def control_sentence(metrics, epochs):
    """A sentence on the decoder without a code, compared with a model of this many epochs."""
    if "control" not in metrics:
        return "not measured yet"
    control = metrics["control"]
    keys = "nll", "nll_standard_error", "gain", "gain_standard_error"
    told = {key: rounded(control[key], metrics) for key in keys}
    sentence = (
        f"{told['nll']} ± {told['nll_standard_error']} {unit(metrics)} on "
        f"{number_of_images(control, metrics)} images, so the code is worth {told['gain']} "
        f"± {told['gain_standard_error']} {unit(metrics)} "
        f"with {control['importance_samples']:,} importance samples"
    )
    if "trained" in control:
        sentence += f" (`{control['trained']}`, {control['epochs']} epochs"
        sentence += ")" if control["epochs"] == epochs else f"; the model had {epochs})"
    return sentence


def _section(folder):
    name = folder.name
    told, metrics, _ = facts(folder)
    return _SECTION.format(
        **told,
        name=name,
        likelihood=likelihood_table(metrics),
        control=control_sentence(metrics, told["epochs_in_all"]),
        remarks=remarks(name, metrics),
        probe=_probe_sentence(folder, metrics["dataset"]),
        sha256=metrics["weights_sha256"],
    )


def _probe_sentence(folder, dataset):
    """A paragraph on the linear probe of an entry; nothing where there is none."""
    path = folder / "probe.json"
    if not path.is_file():
        return ""
    probe = read_probe(path)
    tested = {"num_images": probe["test_images"]}
    tested = number_of_images(tested, {"dataset": probe["dataset"], "split": "test"})
    code, pixels = (
        f"{100 * probe[name]['accuracy']:.1f} ± {100 * probe[name]['standard_error']:.1f} %"
        for name in ("code", "pixels")
    )
    other = "" if probe["dataset"] == dataset else probe["dataset"]
    of, option = (f" of {other}", f" --dataset {other}") if other else ("", "")
    classifier = probe["classifier"].replace("_", " ")
    if classifier != "logistic regression":
        option += f" --classifier {probe['classifier']}"
    if probe["train_images"] != 10_000:
        option += f" --images {probe['train_images']}"
    return (
        f"\n\nA linear classifier ({classifier}) fitted to {probe['train_images']:,} training "
        f"images names the class of a test image{of} from its code with an accuracy of {code}, "
        f"from its pixels with {pixels} "
        f"({tested} test images, `vlae-tf probe{option}`)."
    )

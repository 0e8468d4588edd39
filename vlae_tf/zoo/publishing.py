"""From an evaluated run to an entry of the zoo."""

import json
import pathlib
import shutil
import tempfile

import numpy as np

from vlae_tf import catalogue
from vlae_tf.checks import refuse
from vlae_tf.evaluation import (
    plot_clusters,
    plot_history,
    plot_manifolds,
    plot_reconstructions,
    plot_samples,
    write_metrics,
)
from vlae_tf.evaluation.run_metrics import log_prob_path, read_log_prob
from vlae_tf.evaluation.rung_plots import rung_sizes
from vlae_tf.files import load_weights, read_json, read_numpy, sha256, write_text
from vlae_tf.models import importance_weighted_log_prob
from vlae_tf.models.folder import read_part
from vlae_tf.posteriors import LadderPosterior
from vlae_tf.priors import GaussianMixturePrior
from vlae_tf.records import check_weights, read_metrics
from vlae_tf.runs import load_run
from vlae_tf.runs.data import images_sha256, split_images
from vlae_tf.runs.run_record import begun_with
from vlae_tf.units import in_unit, unit
from vlae_tf.zoo.card import card
from vlae_tf.zoo.entry import write_entry
from vlae_tf.zoo.storage import pack_weights
from vlae_tf.zoo.tables import facts

# Examples of an entry: so many, or as many as have so many bytes, but not less than are checked.
_EXAMPLES, _EXAMPLE_BYTES = 64, 50_176
# The likelihood of so many examples, with as many samples, is stored with an entry.
CHECKED = 16
# The published likelihood stands as long as storing the weights moves it by no more.
_LARGEST_CHANGE = {"nats": 0.01, "bits/dim": 0.0005}
_COPIED = (
    "config.json",
    "model.weights.h5",
    "recipe.json",
    "run.json",
    "metrics.json",
    "history.csv",
)
# Each with the sha256 of the weights that it was measured with.
_PROBES = ("probe.json", "rungs.json")
_PICTURES = ("history", "reconstructions", "samples", "manifolds", "clusters")
# The files of an entry: those that publishing makes anew.
_OWN = (*_COPIED, *_PROBES, "metrics-*.npy", "examples.npz", "entry.json", "card.md")
_OWN += tuple(f"{name}.png" for name in _PICTURES)


def publish(run, folder, data_dir=None, licence=None):
    """Make a zoo entry of a run that `vlae-tf evaluate` has evaluated.

    The entry holds the weights as float16 where that leaves the likelihood, see `store_weights`.

    Args:
        run: folder of the run.
        folder: folder of the entry, made or replaced in one move when everything is there. Files
            of yours that lie in it stay.
        data_dir: folder where TFDS keeps its data.
        licence: SPDX name of the licence of the weights, such as "MIT"; None: not stated.

    Raises:
        ValueError: if the run was not evaluated, the log-probabilities of its images are missing,
            its recipe.json is not the one that it began with, or `folder` is there and is no entry:
            nothing else is replaced.
    """
    run, folder = pathlib.Path(run), pathlib.Path(folder)
    if licence is not None and not isinstance(licence, str):
        refuse("licence", "the SPDX name of a licence, or None", licence)
    _check_target(run, folder)
    missing = [name for name in _COPIED if not (run / name).is_file()]
    if missing:
        raise ValueError(
            "`run` must be a finished run with its metrics, see `vlae-tf evaluate --help`. "
            f"Received: run={str(run)!r} without {', '.join(missing)}"
        )
    metrics = read_metrics(run / "metrics.json")
    weights = check_weights(run, metrics)
    log_probs = [_log_prob(run, block) for block in metrics["likelihood"]]
    recipe = begun_with(run, "run")
    images = split_images(recipe, metrics["split"], metrics["seed"], data_dir)
    if metrics.get("images_sha256") not in (None, images_sha256(images)):
        raise ValueError(
            "The images of the run must be those that it was evaluated on: run `vlae-tf evaluate` "
            f"again. Received: {recipe.dataset} with other images than in {run / 'metrics.json'}"
        )
    order = np.random.default_rng(metrics["seed"]).permutation(len(images))
    rows = order[: examples_count(images)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".publishing-") as temporary:
        entry = pathlib.Path(temporary) / folder.name
        entry.mkdir()
        for path in [*(run / name for name in _COPIED), *log_probs]:
            shutil.copy(path, entry)
        if sha256(entry / "model.weights.h5") != weights:
            raise ValueError(
                "`run` must be left alone while it is published. Received: "
                f"run={str(run)!r}, whose weights were written anew meanwhile"
            )
        for name in _PROBES:
            if _is_of(run / name, weights):
                shutil.copy(run / name, entry)
        np.savez_compressed(entry / "examples.npz", images=images[rows])
        model = store_weights(entry)
        stored = sha256(entry / "model.weights.h5")
        for name in _PROBES:  # the entry's own are kept, if they still hold
            if not (entry / name).exists() and _is_of(folder / name, stored):
                shutil.copy(folder / name, entry)
        plot_reconstructions(model, images[rows][:12], entry / "reconstructions.png")
        plot_samples(model.sample(64, seed=0), entry / "samples.png", columns=16)
        _plot_rungs(model, entry)
        draw_history(entry)
        write_entry(entry, _source(folder), licence)
        write_text(entry / "card.md", card(folder.name, entry))
        _copy_others(folder, entry)
        _replace(folder, entry, pathlib.Path(temporary) / "before")


def store_weights(entry):
    """Store the weights of an entry as float16, and measure how that changes log p(x).

    What a mask takes out of a kernel becomes zero, which changes nothing (`pack_weights`). The
    change for the entry's examples goes into its metrics.json, under `stored`, and the new sha256
    into metrics.json, probe.json and rungs.json. The published likelihood stays as it was measured.
    Weights that float16 does not hold, or that it makes another model of, whose log p(x) moves by
    more than 0.01 nats or 0.0005 bits/dim in the mean, stay as they are. Two standard errors of the
    mean are taken off first, each at most as large as that bound.

    Args:
        entry: folder with the files of an entry, its examples.npz too.

    Returns:
        The model with the stored weights.
    """
    images = read_numpy(entry / "examples.npz")["images"]
    metrics = read_metrics(entry / "metrics.json")
    model = load_run(entry, "float32")
    log_prob = importance_weighted_log_prob(model, images, CHECKED)
    path = entry / "model.weights.h5"
    whole = path.read_bytes()
    try:
        pack_weights(model, path)
    except ValueError:  # a number that float16 does not have
        path.write_bytes(whole)
    weights = sha256(path)
    after = log_prob
    if weights != metrics["weights_sha256"]:
        load_weights(model, path)
        after = importance_weighted_log_prob(model, images, CHECKED)
    changes = after - log_prob
    largest = _LARGEST_CHANGE[unit(metrics)]
    error = abs(in_unit(changes.std() / np.sqrt(len(changes)), metrics))
    if abs(in_unit(changes.mean(), metrics)) > largest + 2 * min(error, largest):
        path.write_bytes(whole)
        load_weights(model, path)
    elif weights != metrics["weights_sha256"]:
        log_prob = after
        stored = {
            "dtype": "float16",
            "examples": len(changes),
            "mean_change_nats": float(changes.mean()),
            "largest_change_nats": float(np.abs(changes).max()),
        }
        name_weights(entry, metrics | {"stored": stored})
    np.savez_compressed(entry / "examples.npz", images=images, log_prob=log_prob[:CHECKED])
    return model


def name_weights(entry, metrics):
    """Write the metrics of an entry with the sha256 of its weights, and that into its probes."""
    weights = {"weights_sha256": sha256(entry / "model.weights.h5")}
    write_metrics(entry / "metrics.json", metrics | weights)
    for measured in filter(pathlib.Path.is_file, (entry / name for name in _PROBES)):
        probe = read_json(measured, "a probe of codes")
        write_text(measured, json.dumps(probe | weights, indent=2) + "\n")


def examples_count(images):
    """How many of these images are the examples of an entry: 64 of 28x28 bytes, 16 of CIFAR-10."""
    size = images[:1].nbytes or 1
    return int(np.clip(_EXAMPLE_BYTES // size, CHECKED, _EXAMPLES))


def renew_cards():
    """Writes entry.json and card.md of each of the package's entries anew, from its other files."""
    for name, folder in catalogue.entries(own=False).items():
        write_entry(folder, name, catalogue.read_entry(folder, "entry")["licence"])
        write_text(folder / "card.md", card(name, folder))


def _source(folder):
    """What loads an entry in this folder: its name in the package's zoo, the path elsewhere."""
    zoo = catalogue.ZOO and catalogue.ZOO.resolve()
    return folder.name if folder.resolve().parent == zoo else str(folder)


def _plot_rungs(model, entry):
    """Pictures of what is in the rungs and clusters of a ladder; none of other models."""
    if isinstance(model.posterior_family, LadderPosterior) and set(rung_sizes(model)) == {2}:
        plot_manifolds(model, entry / "manifolds.png")
    if isinstance(model.prior_family, GaussianMixturePrior):
        plot_clusters(model, entry / "clusters.png")


def draw_history(entry):
    """The training curves of an entry, from its files, in the unit of its likelihood."""
    told, metrics, _ = facts(entry)
    plot_history(
        entry / "history.csv",
        entry / "history.png",
        earlier_epochs=int(told["epochs_in_all"] - told["epochs"]),
        bits_per_dim=unit(metrics) == "bits/dim",
        terms=read_part(entry, "objective").terms,
    )


def _check_target(run, folder):
    """Raises unless `folder` is not there, is empty, or is an entry that may be replaced."""
    if not folder.name or not folder.name.isprintable() or set(folder.name) & set("<>|&`\"'*?:"):
        refuse("folder", "a path whose last name has no signs such as < | & *", str(folder))
    target = folder.resolve()
    if target == run.resolve() or target in run.resolve().parents:
        refuse("folder", f"another folder than the run {str(run)!r} or one around it", str(folder))
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "entry.json").is_file() or not (folder / "card.md").is_file():
        refuse("folder", "a new folder, an empty one, or that of an entry", str(folder))


def _is_of(probe, weights):
    """Whether there is such a file, made with these weights."""
    if not probe.is_file():
        return False
    return read_json(probe, "a probe of codes").get("weights_sha256") == weights


def _log_prob(run, block):
    """The file of a block's log-probabilities, which fits the block."""
    path = run / "metrics.json"
    if read_log_prob(path, block) is None:
        name = log_prob_path(path, block).name
        raise ValueError(
            f"{run} is missing {name}, the log p(x) of each image of these metrics. Run "
            f"`vlae-tf evaluate` again. Received: run={str(run)!r} without {name}"
        )
    return log_prob_path(path, block)


def _copy_others(folder, entry):
    """Copies what lies in an entry's folder and is no file of an entry, such as a .git."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, entry / path.name, symlinks=True)
        elif not any(path.match(own) for own in _OWN):
            shutil.copy2(path, entry, follow_symlinks=False)


def _replace(folder, entry, aside):
    """Moves `entry` to `folder` in two renames; what was there comes back if the second fails."""
    if not folder.exists():
        entry.rename(folder)
        return
    folder.rename(aside)
    try:
        entry.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise

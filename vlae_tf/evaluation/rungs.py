"""What each rung of a code tells of an image: its class, how it is written, its cluster."""

import functools
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from vlae_tf.catalogue import result_file
from vlae_tf.checks import check_installed, check_integer
from vlae_tf.evaluation.clustering import clustering_accuracy
from vlae_tf.evaluation.probe import labelled_images
from vlae_tf.evaluation.rung_plots import rung_sizes
from vlae_tf.evaluation.strokes import slant, stroke_width
from vlae_tf.files import PathLike, sha256, write_between, write_text
from vlae_tf.runs import Recipe
from vlae_tf.runs.load import load_hashed_run

_MEASURES = {"slant": slant, "stroke_width": stroke_width}


def probe_rungs(
    folder: PathLike,
    path: PathLike | None = None,
    num_images: int = 10_000,
    neighbours: int = 10,
    clusters: int = 25,
    seed: int = 0,
    data_dir: PathLike | None = None,
    dtype: str = "float32",
    dataset: str | None = None,
) -> dict:
    """Probe each rung of the codes of a run alone; writes rungs.json.

    Of each rung are measured, on all images of "test":

    - `class_accuracy`: the share of images whose class is that of most of their nearest neighbours
      among the codes of training images, with its `class_standard_error`;
    - `slant` and `stroke_width` (see `vlae_tf.evaluation.slant` and `stroke_width`): the
      correlation with what a linear regression on the rung, fitted to training images, says
      (`linear`), and with the mean over the nearest neighbours (`neighbours`);
    - `k_means`: `clustering_accuracy` of k-means, fitted to the codes of training images;
    - `clusters`: that of the prior's own most probable clusters, where it has some, and the number
      `used` of those that are the most probable one of a test image.

    A code without rungs counts as a single one. No label is used in clustering.

    Args:
        folder: folder of the run, or of a zoo entry.
        path: file to write; `rungs.json` in `folder` unless given. Of an entry of the zoo it must
            be given.
        num_images: number of training images, drawn at random.
        neighbours: number of nearest neighbours.
        clusters: number of clusters of k-means.
        seed: seed of that choice, of the binary draw of a "dynamic" set, and of k-means.
        data_dir: folder where TFDS keeps its data.
        dtype: policy of the networks.
        dataset: name of a data set with images and classes; the run's own unless given.

    Returns:
        What was written: a dict of the sizes above, the sha256 of the weights, and `rungs`, a list
        from the bottom up.

    Raises:
        ImportError: if scikit-learn is not installed.
        ValueError: for a data set without classes, fewer training images than neighbours or
            clusters, or images whose slant or stroke width is not defined.

    Example:
        >>> from vlae_tf.evaluation import probe_rungs
        >>> probe_rungs("zoo/mnist_ladder")["rungs"][-1]["class_accuracy"]  # doctest: +SKIP

    Reference:
        Zhao et al., "Learning Hierarchical Features from Generative Models", ICML 2017, section
        5.2, which shows in pictures what each rung holds.
    """
    check_installed("sklearn", "sklearn", "A probe of rungs")
    check_integer(neighbours, "neighbours", least=1)
    check_integer(clusters, "clusters", least=1)
    check_integer(num_images, "num_images", least=max(neighbours, clusters))
    folder, path = pathlib.Path(folder), result_file(folder, path, "rungs.json")
    recipe, images, labels = labelled_images(folder, num_images, seed, data_dir, dataset)
    model, weights = load_hashed_run(folder, dtype)
    written = {split: _written(x) for split, x in images.items()}
    codes = {split: model.encode(x) for split, x in images.items()}
    sizes = rung_sizes(model)
    ends = np.cumsum(sizes)[:-1]
    parts = {split: np.split(code, ends, axis=1) for split, code in codes.items()}
    found = []
    for rung, size in enumerate(sizes):
        code = {split: part[rung] for split, part in parts.items()}
        guesses = _k_means(code, clusters, seed)
        found.append(
            {
                "size": size,
                **_neighbours(code, labels, written, neighbours),
                "k_means": clustering_accuracy(guesses, labels["test"]),
            }
        )
    for rung, log_probs in enumerate(model.cluster_log_probs(codes["test"])):
        chosen = np.asarray(log_probs).argmax(axis=-1)
        accuracy = clustering_accuracy(chosen, labels["test"])
        found[rung]["clusters"] = {"used": len(np.unique(chosen)), **accuracy}
    result = {
        "dataset": recipe.dataset,
        "weights_sha256": weights,
        "train_images": len(labels["train"]),
        "test_images": len(labels["test"]),
        "neighbours": neighbours,
        "k_means_clusters": clusters,
        "rungs": found,
    }
    write_text(path, json.dumps(result, indent=2) + "\n")
    return result


def _written(images):
    """The measures of how images are written, `(n, 2)`."""
    values = np.stack([measure(images) for measure in _MEASURES.values()], axis=1)
    if not np.isfinite(values).all():
        count = np.count_nonzero(~np.isfinite(values).all(axis=1))
        raise ValueError(
            "The images must have ink in more than one row, for a slant and a width of strokes. "
            f"Received: {count} of {len(images)} images without"
        )
    return values


def _neighbours(code, labels, written, neighbours):
    from sklearn.linear_model import LinearRegression
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    classifier = KNeighborsClassifier(neighbours).fit(code["train"], labels["train"])
    accuracy = float(classifier.score(code["test"], labels["test"]))
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(labels["test"])))
    found = {"class_accuracy": accuracy, "class_standard_error": error}
    for kind, model in {
        "linear": LinearRegression(),
        "neighbours": KNeighborsRegressor(neighbours),
    }.items():
        told = model.fit(code["train"], written["train"]).predict(code["test"])
        for column, name in enumerate(_MEASURES):
            correlation = np.corrcoef(told[:, column], written["test"][:, column])[0, 1]
            found.setdefault(name, {})[kind] = float(correlation)
    return found


def _k_means(code, clusters, seed):
    from sklearn.cluster import KMeans

    fitted = KMeans(clusters, n_init=10, random_state=seed).fit(code["train"])
    return fitted.predict(code["test"])


# === The table ===


def rung_table(folders: Sequence[PathLike]) -> str:
    """What was measured of the rungs of several runs: a Markdown table.

    Runs whose recipes differ by the seed alone share their rows: mean and standard deviation.

    Args:
        folders: folders of runs or zoo entries with their rungs.json, as `probe_rungs` wrote it.

    Raises:
        ValueError: if there is no folder, or one without a rungs.json of its weights.

    Example:
        >>> from vlae_tf.evaluation import rung_table
        >>> rung_table(["runs/ladder_0", "runs/ladder_1"])  # doctest: +SKIP
    """
    groups: list[tuple] = []
    for folder in map(pathlib.Path, folders):
        recipe, result = Recipe.load(folder / "recipe.json"), _read(folder)
        for _, first, results in groups:
            if set(first.differences(recipe)) <= {"seed"}:
                results.append(result)
                break
        else:
            groups.append((folder.name, recipe, [result]))
    if not groups:
        raise ValueError(f"`folders` must name one run or more. Received: folders={folders!r}")
    lines = [_HEAD]
    for name, _, results in groups:
        count = len(results[0]["rungs"])
        for rung in reversed(range(count)):
            each = [result["rungs"][rung] for result in results]
            lines.append(_row(name, f"{rung + 1} of {count}", each))
    return "\n".join([*lines, "", _below(groups), ""])


def renew_rung_table(page: PathLike, folders: Sequence[PathLike]) -> None:
    """Puts `rung_table(folders)` between the marks of a page; a `ValueError` if it has none."""
    write_between("page", pathlib.Path(page), _BEGIN, _END, rung_table(folders))


_BEGIN, _END = "<!-- rungs: written by `vlae-tf rungs` -->", "<!-- end of rungs -->"
_HEAD = (
    "| model | seeds | rung | numbers | digit, neighbours (%) | slant | stroke width "
    "| clusters, majority (%) | clusters, Hungarian (%) | k-means, majority (%) "
    "| k-means, Hungarian (%) |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def _read(folder):
    path = folder / "rungs.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if result.get("weights_sha256") != sha256(folder / "model.weights.h5"):
        raise ValueError(
            "`folders` must have a rungs.json of their weights: run `vlae-tf rungs` on each. "
            f"Received: {str(folder)!r}"
        )
    return result


def _row(name, rung, each):
    def percent(*keys):
        return _told([100 * value for value in _values(each, keys)], 1)

    def correlations(measure):
        return " / ".join(
            _told(_values(each, (measure, kind)), 2) for kind in ("linear", "neighbours")
        )

    cells = [
        f"`{name}`",
        len(each),
        rung,
        each[0]["size"],
        percent("class_accuracy"),
        *map(correlations, _MEASURES),
        *(
            percent(kind, mapping, "accuracy")
            for kind in ("clusters", "k_means")
            for mapping in ("majority", "hungarian")
        ),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _values(each, keys):
    """What stands under nested keys in each dict, where it is there."""
    found = [functools.reduce(lambda at, key: (at or {}).get(key), keys, one) for one in each]
    return [value for value in found if value is not None]


def _told(values, digits):
    if not values:
        return "-"
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


def _below(groups):
    (_, _, results), *_ = groups
    first = results[0]
    chance = {
        mapping: max(
            rung[kind][mapping]["chance"]
            for _, _, results in groups
            for result in results
            for rung in result["rungs"]
            for kind in ("clusters", "k_means")
            if kind in rung
        )
        for mapping in ("majority", "hungarian")
    }
    return (
        f"± is the standard deviation over seeds. {first['test_images']:,} test images, "
        f"{first['train_images']:,} training images for {first['neighbours']} neighbours, "
        f"regressions, and k-means of {first['k_means_clusters']} clusters. Slant and stroke "
        "width: correlation with a linear regression / with the neighbours' mean. By chance, "
        f"clusters have at most {chance['majority']:.1%} (majority) and "
        f"{chance['hungarian']:.1%} (Hungarian)."
    )

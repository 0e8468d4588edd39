"""How much of an image's class a linear classifier reads off its code."""

import importlib.util
import json
import pathlib

import numpy as np
from numpy.typing import ArrayLike

from vlae_tf.catalogue import result_file
from vlae_tf.checks import check_choice, check_integer
from vlae_tf.datasets import load_labels
from vlae_tf.files import PathLike, write_text
from vlae_tf.runs import Recipe
from vlae_tf.runs.data import split_images
from vlae_tf.runs.load import load_hashed_run

# The regularisation of each classifier, with the values to choose from; the folds to choose by.
_CHOICES = {
    "logistic_regression": ("C", (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)),
    "linear_discriminant_analysis": ("shrinkage", (0.0, 0.1, 0.5, 0.9, 0.99)),
}
_FOLDS = 3


def linear_probe(
    features: ArrayLike,
    labels: ArrayLike,
    test_features: ArrayLike,
    test_labels: ArrayLike,
    classifier: str = "logistic_regression",
) -> dict:
    """Accuracy of a linear classifier from features to classes, and its standard error.

    Features are brought to mean 0 and variance 1 first. The regularisation (the inverse strength C
    of logistic regression's penalty, or the shrinkage of discriminant analysis' covariance) is
    chosen by cross-validation on the training features, so that many features, such as pixels, are
    not at a disadvantage. The error is that of a proportion, sqrt(a (1 - a) / n).

    Args:
        features, test_features: array of features, `(n, d)`.
        labels, test_labels: array of integers, `(n,)`.
        classifier: "logistic_regression", or "linear_discriminant_analysis", which has a closed
            form; use that for a thousand classes or more, for which the other takes hours.

    Returns:
        A dict of `accuracy` and `standard_error` on the test features, and the chosen `C` or
        `shrinkage`.

    Raises:
        ImportError: if scikit-learn is not installed.
        ValueError: for another classifier.

    Example:
        >>> import numpy as np
        >>> from vlae_tf.evaluation import linear_probe
        >>> features = np.array([[-1.0], [1.0]] * 10)
        >>> linear_probe(features, [0, 1] * 10, features, [0, 1] * 10)["accuracy"]
        1.0

    Reference:
        Alain & Bengio, "Understanding intermediate layers using linear classifier probes", 2017.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise ImportError("A linear probe needs scikit-learn: pip install 'vlae_tf[sklearn]'")
    check_choice(classifier, "classifier", tuple(_CHOICES))
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    if classifier == "logistic_regression":
        linear = LogisticRegression(max_iter=1000)
    else:
        linear = LinearDiscriminantAnalysis(solver="lsqr")
    bound, values = _CHOICES[classifier]
    search = GridSearchCV(
        Pipeline([("scaler", StandardScaler()), ("linear", linear)]),
        {f"linear__{bound}": values},
        cv=KFold(_FOLDS, shuffle=True, random_state=0),
    )
    search.fit(np.asarray(features, "float32"), labels)
    accuracy = float(search.score(np.asarray(test_features, "float32"), test_labels))
    error = float(np.sqrt(accuracy * (1 - accuracy) / np.size(test_labels)))
    (chosen,) = search.best_params_.values()
    return {"accuracy": accuracy, "standard_error": error, bound: chosen}


def probe_run(
    folder: PathLike,
    path: PathLike | None = None,
    num_images: int = 10_000,
    seed: int = 0,
    data_dir: PathLike | None = None,
    dtype: str = "float32",
    dataset: str | None = None,
    classifier: str = "logistic_regression",
) -> dict:
    """Probe the codes of a run, and the raw pixels for comparison; writes probe.json.

    The classifier is fitted to images of the "train" split and tested on all images of "test".

    Args:
        folder: folder of the run, or of a zoo entry.
        path: file to write; `probe.json` in `folder` unless given. Of an entry of the zoo it must
            be given.
        num_images: number of training images for the classifier, drawn at random.
        seed: seed of that choice, and of the draw by which images of a "dynamic" set are made
            binary.
        data_dir: folder where TFDS keeps its data.
        dtype: policy of the convolutions.
        dataset: data set with images and classes, a name or own images; the run's own unless
            given. The classes of `mnist_static` were never published: "mnist_dynamic" has the same
            digits.
        classifier: classifier of `linear_probe`.

    Returns:
        What was written: a dict of `code` and `pixels`, each as `linear_probe` gives it, the number
        of images, the classifier, and the sha256 of the weights.

    Raises:
        ValueError: for a data set without classes, or with images of another shape than the run's.

    Example:
        >>> from vlae_tf.evaluation import probe_run
        >>> probe_run("runs/mnist_dynamic")["code"]["accuracy"]  # doctest: +SKIP
    """
    folder, path = pathlib.Path(folder), result_file(folder, path, "probe.json")
    recipe, images, labels = labelled_images(folder, num_images, seed, data_dir, dataset)
    model, weights = load_hashed_run(folder, dtype)
    result = {
        "dataset": recipe.dataset,
        "weights_sha256": weights,
        "train_images": len(labels["train"]),
        "test_images": len(labels["test"]),
        "classifier": classifier,
    }
    for name, features in {
        "code": {split: model.encode(x) for split, x in images.items()},
        "pixels": {split: x.reshape(len(x), -1) for split, x in images.items()},
    }.items():
        result[name] = linear_probe(
            features["train"], labels["train"], features["test"], labels["test"], classifier
        )
    write_text(path, json.dumps(result, indent=2) + "\n")
    return result


def labelled_images(folder, num_images, seed=0, data_dir=None, dataset=None):
    """What a probe of a run is fitted to and tested on.

    Returns:
        The recipe, of `dataset` if there is one, and two dicts with "train", of which `num_images`
        were drawn at random, and "test": of the images as the model takes them, and of the classes.
    """
    check_integer(num_images, "num_images", least=1)
    recipe = Recipe.load(folder / "recipe.json")
    if dataset is not None:
        recipe = recipe.replace(dataset=dataset)
    images, labels = {}, {}
    for split in ("train", "test"):
        labels[split] = load_labels(recipe.dataset, split, data_dir)
        images[split] = split_images(recipe, split, seed, data_dir)
    rows = np.random.default_rng(seed).permutation(len(labels["train"]))[:num_images]
    images["train"], labels["train"] = images["train"][rows], labels["train"][rows]
    return recipe, images, labels

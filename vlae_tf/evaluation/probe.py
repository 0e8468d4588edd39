"""How much of an image's class a linear classifier reads off its code."""

import dataclasses
import importlib.util
import json
import pathlib

import numpy as np

from vlae_tf.datasets import load_labels
from vlae_tf.training import Recipe
from vlae_tf.training.data import split_images
from vlae_tf.training.files import write_text
from vlae_tf.training.run import load_hashed_run

# Inverse strengths of the L2 penalty to choose from, and the folds that the choice is made by.
_STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
_FOLDS = 3


def linear_probe(features, labels, test_features, test_labels):
    """Accuracy of logistic regression from features to classes, and its standard error.

    Features are brought to mean 0 and variance 1 first. The strength C of the classifier's penalty
    is chosen by cross-validation on the training features, so that many features, such as pixels,
    are not at a disadvantage. The error is that of a proportion, sqrt(a (1 - a) / n).

    Args:
        features, test_features: `(n, d)`.
        labels, test_labels: integers, `(n,)`.

    Returns:
        A dict of `accuracy` and `standard_error` on the test features, and the C that was chosen.

    Raises:
        ImportError: if scikit-learn is not installed.

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
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": _STRENGTHS},
        cv=KFold(_FOLDS, shuffle=True, random_state=0),
    )
    classifier.fit(np.asarray(features, "float32"), labels)
    accuracy = float(classifier.score(np.asarray(test_features, "float32"), test_labels))
    error = float(np.sqrt(accuracy * (1 - accuracy) / len(test_labels)))
    (chosen,) = classifier.best_params_.values()
    return {"accuracy": accuracy, "standard_error": error, "C": chosen}


def probe_run(
    folder, path=None, num_images=10_000, seed=0, data_dir=None, dtype="float32", dataset=None
):
    """Probe the codes of a run, and raw pixels beside them; writes probe.json.

    The classifier is fitted on images of the "train" split and measured on all of "test".

    Args:
        folder: of the run, or of a zoo entry.
        path: of the file; `probe.json` in `folder` unless given.
        num_images: training images for the classifier, drawn at random.
        seed: of that choice, and of the draw by which images of a "dynamic" set are made binary.
        data_dir: where TFDS keeps its data.
        dtype: policy of the convolutions.
        dataset: name of the data set that images and classes are of; the run's own unless given.
            The classes of `mnist_static` were never published: "mnist_dynamic" has the same digits.

    Returns:
        What was written: a dict of `code` and `pixels`, each as `linear_probe` gives it, the number
        of images, and the sha256 of the weights.

    Raises:
        ValueError: for a data set without classes, or with images of another shape than the run's.

    Example:
        >>> from vlae_tf.evaluation import probe_run
        >>> probe_run("zoo/mnist_dynamic")["code"]["accuracy"]  # doctest: +SKIP
    """
    folder = pathlib.Path(folder)
    recipe = Recipe.load(folder / "recipe.json")
    if dataset is not None:
        recipe = dataclasses.replace(recipe, dataset=dataset)
    images, labels = {}, {}
    for split in ("train", "test"):
        labels[split] = load_labels(recipe.dataset, split, data_dir)
        images[split] = split_images(recipe, split, seed, data_dir)
    rows = np.random.default_rng(seed).permutation(len(labels["train"]))[:num_images]
    images["train"], labels["train"] = images["train"][rows], labels["train"][rows]

    model, weights = load_hashed_run(folder, dtype)
    result = {
        "dataset": recipe.dataset,
        "weights_sha256": weights,
        "train_images": len(rows),
        "test_images": len(labels["test"]),
    }
    for name, features in {
        "code": {split: model.encode(x) for split, x in images.items()},
        "pixels": {split: x.reshape(len(x), -1) for split, x in images.items()},
    }.items():
        result[name] = linear_probe(
            features["train"], labels["train"], features["test"], labels["test"]
        )
    write_text(
        folder / "probe.json" if path is None else pathlib.Path(path),
        json.dumps(result, indent=2) + "\n",
    )
    return result

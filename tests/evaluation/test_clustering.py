"""Accuracy of clusters under both mappings, on counts worked out by hand."""

import numpy as np
import pytest

from vlae_tf.evaluation import clustering_accuracy


def accuracies(clusters, labels):
    return {
        name: found["accuracy"] for name, found in clustering_accuracy(clusters, labels).items()
    }


def test_names_of_clusters_and_classes_do_not_matter():
    labels = np.arange(30) % 3
    expected = {"majority": 1.0, "hungarian": 1.0}
    assert accuracies(labels, labels) == accuracies(np.array([7, -2, 90])[labels], labels + 5)
    assert accuracies(labels, labels) == expected


def test_clusters_beyond_the_classes_count_for_the_majority_alone():
    # Each class in two clusters, of 3 and of 2 images: one to one, a class keeps its larger one.
    labels, clusters = np.repeat([0, 1], 5), np.repeat([0, 1, 2, 3], [3, 2, 3, 2])
    assert accuracies(clusters, labels) == {"majority": 1.0, "hungarian": 0.6}


def test_one_to_one_is_the_best_such_mapping():
    # Both clusters have most of class 0; the better exchange gives cluster 1 its class 1.
    counts = [[6, 5], [4, 1]]
    clusters, labels = (np.repeat(i, np.ravel(counts)) for i in ([0, 0, 1, 1], [0, 1, 0, 1]))
    assert accuracies(clusters, labels) == {"majority": 10 / 16, "hungarian": 9 / 16}


def test_chance_is_what_clusters_without_a_meaning_have():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 5000)
    found = clustering_accuracy(rng.integers(0, 25, 5000), labels)
    for each in found.values():
        assert abs(each["accuracy"] - each["chance"]) < 0.01
    # More clusters than classes: the largest of ten counts is above a tenth.
    assert 0.11 < found["majority"]["chance"] < 0.2 and found["hungarian"]["chance"] < 0.1
    one = clustering_accuracy(np.zeros(5000, int), labels)["majority"]
    assert one["chance"] == one["accuracy"] == np.bincount(labels).max() / 5000


@pytest.mark.parametrize(
    ("name", "clusters", "labels"),
    [
        ("clusters", [0.0, 1.0], [0, 1]),
        ("clusters", [[0, 1]], [0, 1]),
        ("clusters", [], []),
        ("labels", [0, 1], [0, np.nan]),
        ("labels", [0, 1], [0, 1, 1]),
    ],
)
def test_what_are_no_clusters_is_refused(name, clusters, labels):
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: "):
        clustering_accuracy(clusters, labels)

"""Numbers as people read them."""

import pytest

from vlae_tf.evaluation.units import number_of_images, number_of_samples
from vlae_tf.units import in_unit, rounded, unit

# 2 bits for each of 100 dimensions.
METRICS = {"likelihood": [{"nll": 138.629, "bits_per_dim": 2.0}]}


@pytest.mark.parametrize(
    ("binarisation", "told", "number", "text"),
    [("static", "nats", 69.3145, "69.31"), ("none", "bits/dim", 1.0, "1.000")],
)
def test_unit_is_that_of_the_images(binarisation, told, number, text):
    metrics = {**METRICS, "binarisation": binarisation}
    assert unit(metrics) == told
    assert in_unit(69.3145, metrics) == pytest.approx(number)
    assert rounded(69.3145, metrics) == text


@pytest.mark.parametrize(("count", "told"), [(9_980, "9,980 of 10,000"), (10_000, "10,000")])
def test_a_part_of_the_test_images_is_told_as_one(count, told):
    metrics = {"dataset": "cifar10", "split": "test"}
    assert number_of_images({"num_images": count}, metrics) == told


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"importance_samples": 5000}, "5,000"),
        ({"importance_samples": 256, "effective_samples": 31.24}, "256 (31.2 count)"),
        ({"importance_samples": 256, "effective_samples": 1.3}, "256 (1.3 count: a bound only)"),
        ({"importance_samples": 1, "effective_samples": 1.0}, "1"),
    ],
)
def test_samples_are_told_with_how_many_of_them_count(block, told):
    assert number_of_samples(block) == told

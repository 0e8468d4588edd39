from dataclasses import FrozenInstanceError

import pytest

from vlae_tf.datasets import DATASETS, info

pytestmark = pytest.mark.jax


def test_every_data_set_describes_itself():
    for name, entry in DATASETS.items():
        assert info(name) is entry and entry.name == name
        assert set(entry.sizes) == {"train", "validation", "test"}
        assert entry.binarisation in ("static", "dynamic", "none")
        assert entry.image_shape[2] == (3 if entry.binarisation == "none" else 1)
        assert entry.source and entry.licence


@pytest.mark.parametrize("name", [name for name, entry in DATASETS.items() if entry.splits])
def test_no_training_or_validation_split_reads_test_images(name):
    splits = DATASETS[name].splits
    for split in ("train", "validation", "train+validation"):
        assert "test" not in splits[split]
    assert splits["test"] == "test"


def test_an_entry_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        info("omniglot").binarisation = "none"


def test_an_unknown_name_lists_those_known():
    with pytest.raises(
        ValueError, match="`name` must be one of 'mnist_static', .*Received: name='mnist'"
    ):
        info("mnist")

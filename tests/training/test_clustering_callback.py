"""Clusters found anew before an epoch, and after a kill as without one."""

import numpy as np
import pytest

from tests.tiny import numpy_of, tiny_recipe, write_images
from vlae_tf.runs import RunData
from vlae_tf.training import driver, train

pytestmark = pytest.mark.jax

PARTS = {
    "encoder": ("LadderEncoder", {"units": [[4]]}),
    "decoder": ("LadderDecoder", {"rungs": [2], "units": [[4]]}),
    "posterior_family": ("LadderPosterior", {"rungs": [2], "feature_sizes": [4]}),
    "prior_family": ("GaussianMixturePrior", {"components": 2, "scale": 1.0}),
    "likelihood_family": ("BernoulliLikelihood", {"projection": False}),
}


@pytest.fixture
def recipe(tmp_path):
    parts = {name: {"class_name": kind, "config": config} for name, (kind, config) in PARTS.items()}
    images = write_images(tmp_path / "digits.npz", train=60)
    options = {"epochs": 3, "clustering_epoch": 1, "batch_size": 20}
    return tiny_recipe(images, model={"latent_dim": 2, **parts}, **options)


class Killed(Exception):
    pass


@pytest.mark.usefixtures("eager")
def test_a_resumed_run_finds_the_same_clusters(recipe, tmp_path, monkeypatch):
    found = []

    class Noted(driver.Clustering):
        def on_epoch_begin(self, epoch, logs=None):
            before = numpy_of(self.model.prior().components().center())
            super().on_epoch_begin(epoch)
            after = numpy_of(self.model.prior().components().center())
            found.append((epoch, (before != after).any()))
            if epoch == 1 and len(found) == 2:
                raise Killed

    monkeypatch.setattr(driver, "Clustering", Noted)
    with pytest.raises(Killed):
        train(recipe, tmp_path / "run", verbose=0)
    resumed = train(recipe, tmp_path / "run", verbose=0)
    assert found == [(0, False), (1, True), (1, True), (2, False)]
    whole = train(recipe, tmp_path / "whole", verbose=0)
    for one, other in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_images_are_as_the_model_takes_them(recipe, tmp_path):
    intensities = write_images(tmp_path / "grey.npz", levels=256, train=60)
    data = RunData(recipe.replace(dataset=intensities, binarise="dynamic"))
    assert data.first(7).shape == (7, 8, 8, 1) and data.first(1000).shape[0] == 60
    assert set(np.unique(data.first(60))) <= {0, 1}


def test_a_prior_without_clusters_is_refused(recipe, tmp_path):
    normal = {"class_name": "FlowPrior", "config": {"steps": 0}}
    recipe = recipe.replace(model=recipe.model | {"prior_family": normal})
    with pytest.raises(ValueError, match="`clustering_epoch` must be None .*with a FlowPrior"):
        train(recipe, tmp_path / "run", verbose=0)


def test_an_epoch_that_never_comes_is_refused(recipe):
    with pytest.raises(ValueError, match="clustering_epoch.* less than the 3 epochs"):
        recipe.replace(clustering_epoch=3)

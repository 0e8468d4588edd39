"""The HyperModel in a user's own script, with keras-tuner's own tuners."""

import keras
import keras_tuner
import numpy as np
import pytest

from vlae_tf.tuning import VLAEHyperModel

CHOICES = {"model.latent_dim": [1, 2, 3], "objective.free_bits": [0.0, 1.0]}
TUNERS = {
    "random": (keras_tuner.RandomSearch, {"max_trials": 2}),
    "grid": (keras_tuner.GridSearch, {"max_trials": 2}),
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": 2, "factor": 2}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TUNERS)
def test_search_of_keras_tuner(recipe, tmp_path, name):
    tuner_class, arguments = TUNERS[name]
    hyper_model = VLAEHyperModel(recipe, CHOICES)
    objective = keras_tuner.Objective("val_elbo", "max")
    tuner = tuner_class(hyper_model, objective, directory=tmp_path, seed=1, **arguments)
    tuner.search(verbose=0)

    trials = list(tuner.oracle.trials.values())
    assert len(trials) >= 2
    assert {trial.status for trial in trials} == {"COMPLETED"}, trials[0].message
    best = tuner.oracle.get_best_trials(1)[0]
    assert best.score == max(trial.score for trial in trials)
    model = tuner.get_best_models(1)[0]
    assert model.latent_dim == best.hyperparameters.values["model.latent_dim"]


@pytest.mark.slow
def test_kept_weights_are_the_averaged_ones_that_were_validated(recipe, tmp_path):
    tuner = keras_tuner.RandomSearch(
        VLAEHyperModel(recipe, {"model.latent_dim": [2]}),
        keras_tuner.Objective("val_elbo", "max"),
        max_trials=1,
        directory=tmp_path,
    )
    tuner.search(verbose=0)
    model = tuner.get_best_models(1)[0]
    assert int(model.optimizer.iterations) > 0
    kept = [np.array(variable) for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    for one, other in zip(kept, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, np.array(other))


def test_own_data_may_be_given_to_the_search(recipe, tmp_path):
    images = (np.random.default_rng(1).random((16, 8, 8, 1)) < 0.5).astype("uint8")
    hyper_model = VLAEHyperModel(recipe, {"model.latent_dim": [2]})
    hyper_parameters = hyper_model.space.hyper_parameters()
    model = hyper_model.build(hyper_parameters)
    history = hyper_model.fit(
        hyper_parameters, model, images, validation_data=(images,), epochs=1, verbose=0
    )
    assert len(history.history["val_elbo"]) == 1
    steps = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: steps.append(step))
    hyper_model.fit(
        hyper_parameters, model, x=images, batch_size=2, callbacks=[count], epochs=1, verbose=0
    )
    assert len(steps) == 8  # of its own images, not of the recipe's


def test_validation_images_are_not_trained_on(recipe):
    base = VLAEHyperModel(recipe, CHOICES).space.base
    assert (base.train_split, base.validation_split) == ("train", "validation")

"""The HyperModel in a user's own script, with keras-tuner's own tuners."""

import math

import keras
import keras_tuner
import numpy as np
import pytest

from vlae_tf.tuning import RecipeHyperModel

pytestmark = pytest.mark.slow

CHOICES = {"model.latent_dim": [1, 2, 3], "objective.free_bits": [0.0, 1.0]}
OBJECTIVE = keras_tuner.Objective("val_elbo", "max")
TUNERS = {
    "random": (keras_tuner.RandomSearch, {"max_trials": 2}),
    "grid": (keras_tuner.GridSearch, {"max_trials": 2}),
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": 2, "factor": 2}),
}


@pytest.mark.parametrize("name", TUNERS)
def test_search_of_keras_tuner(recipe, tmp_path, name):
    tuner_class, arguments = TUNERS[name]
    hyper_model = RecipeHyperModel(recipe.replace(epochs=1), CHOICES)
    tuner = tuner_class(hyper_model, OBJECTIVE, directory=tmp_path, seed=1, **arguments)
    tuner.search(verbose=0)

    trials = list(tuner.oracle.trials.values())
    assert len(trials) >= 2
    assert {trial.status for trial in trials} == {"COMPLETED"}, trials[0].message
    best = tuner.oracle.get_best_trials(1)[0]
    assert best.score == max(trial.score for trial in trials)
    assert hyper_model.best_recipe(tuner) == hyper_model.recipe(best.hyperparameters)
    model = tuner.get_best_models(1)[0]
    assert model.latent_dim == best.hyperparameters.values["model.latent_dim"]

    # The weights that are kept are the averaged ones, which were validated.
    assert int(model.optimizer.iterations) > 0
    kept = [np.array(variable) for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    for one, other in zip(kept, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, np.array(other))


class Scored(keras_tuner.GridSearch):
    """A tuner whose trials have a given score for each size of the code."""

    SCORES = {1: math.inf, 2: math.nan, 3: -90.0, 4: -80.0, 5: -math.inf}

    def run_trial(self, trial, **_):
        return {"val_elbo": self.SCORES[trial.hyperparameters.values["model.latent_dim"]]}

    def _populate_initial_space(self):
        self.oracle.update_space(self.hypermodel.space.hyper_parameters())


def test_best_recipe_is_of_a_completed_trial_with_a_finite_score(recipe, tmp_path):
    hyper_model = RecipeHyperModel(recipe, {"model.latent_dim": list(Scored.SCORES)})
    tuner = Scored(hyper_model, OBJECTIVE, directory=tmp_path / "some")
    tuner.search(verbose=0)
    assert tuner.oracle.get_best_trials(1)[0].score == math.inf, "what keras-tuner takes for best"
    assert hyper_model.best_recipe(tuner).model["latent_dim"] == 4

    hyper_model = RecipeHyperModel(recipe, {"model.latent_dim": [1, 2, 5]})
    tuner = Scored(hyper_model, OBJECTIVE, directory=tmp_path / "none")
    with pytest.raises(ValueError, match="finite score. Received: 0 trials"):
        hyper_model.best_recipe(tuner)
    tuner.search(verbose=0)
    with pytest.raises(ValueError, match="finite score. Received: 3 trials"):
        hyper_model.best_recipe(tuner)


def test_own_data_may_be_given_to_the_search(recipe):
    images = (np.random.default_rng(1).random((16, 8, 8, 1)) < 0.5).astype("uint8")
    hyper_model = RecipeHyperModel(recipe, {"model.latent_dim": [2]})
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
    base = RecipeHyperModel(recipe, CHOICES).space.base
    assert (base.train_split, base.validation_split) == ("train", "validation")

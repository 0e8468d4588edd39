import contextlib
import functools
import math

import keras
import keras_tuner

from vlae_tf.runs import RunData
from vlae_tf.training import AveragedEvaluation
from vlae_tf.training.averaged_evaluation import averaged_weights
from vlae_tf.training.driver import compiled_model
from vlae_tf.tuning.search_space import SearchSpace


class RecipeHyperModel(keras_tuner.HyperModel):
    """The models of a recipe with some fields left open, for any tuner of keras-tuner.

    Training images are those of the recipe's "train" split, validation images those of its
    "validation" split, whatever the recipe says; the test split is never read. `val_` metrics, and
    the weights that the tuner keeps, are of the averaged weights.

    Args:
        recipe: `Recipe` of any model.
        choices: dict of a field's path to the values to try (see `SearchSpace`).
        data_dir: folder where TFDS keeps its data.

    Raises:
        ValueError: for choices that the recipe does not take.

    Example:
        >>> import keras_tuner
        >>> from vlae_tf.runs import Recipe
        >>> from vlae_tf.tuning import RecipeHyperModel
        >>> hyper_model = RecipeHyperModel(
        ...     Recipe.load("mnist_static"), {"model.latent_dim": [2, 4, 8, 16, 32, 64]}
        ... )
        >>> tuner = keras_tuner.RandomSearch(
        ...     hyper_model, keras_tuner.Objective("val_elbo", "max"), max_trials=3
        ... )  # doctest: +SKIP
        >>> tuner.search()  # doctest: +SKIP
        >>> best = hyper_model.best_recipe(tuner)  # doctest: +SKIP
    """

    def __init__(self, recipe, choices, data_dir=None):
        super().__init__(name="recipe")
        held_out = {"train_split": "train", "validation_split": "validation"}
        self.space = SearchSpace(recipe.replace(**held_out), choices)
        self.data_dir = data_dir

    def recipe(self, hp):
        """The `Recipe` that these hyperparameters stand for."""
        return self.space.recipe(self.space.values(hp))

    def best_recipe(self, tuner):
        """The `Recipe` of the best trial that was completed with a finite score.

        A tuner's own `get_best_hyperparameters` gives infinite scores first, and failed trials
        where no other is left.

        Raises:
            ValueError: if there is no such trial.
        """
        trials = tuner.oracle.get_best_trials(len(tuner.oracle.trials))
        for trial in trials:
            if trial.status == "COMPLETED" and math.isfinite(trial.score):
                return self.recipe(trial.hyperparameters)
        raise ValueError(
            "`tuner` must have completed a trial with a finite score. "
            f"Received: {len(trials)} trials, none of them such"
        )

    def build(self, hp):
        """A compiled model."""
        self.space.hyper_parameters(hp)
        model = compiled_model(self._data.of(self.recipe(hp)))
        # Else Keras would leave the optimiser out when the tuner loads a model.
        model.optimizer.build(model.trainable_variables)
        return model

    def fit(self, hp, model, *args, callbacks=(), epochs=None, **kwargs):
        """Fit `model` to the recipe's images, or to what is given as for `model.fit`."""
        recipe = self.recipe(hp)
        epochs = recipe.epochs if epochs is None else epochs
        averages = contextlib.ExitStack()
        callbacks = [
            AveragedEvaluation(),
            # The tuner's own callbacks keep the weights of the best epoch.
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda *_: averages.enter_context(averaged_weights(model))
            ),
            *callbacks,
            keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: averages.close()),
        ]
        if not args and "x" not in kwargs:
            first = kwargs.get("initial_epoch", 0)
            kwargs = {**self._data.of(recipe).fit_arguments(first), **kwargs}
        return model.fit(*args, epochs=epochs, callbacks=callbacks, **kwargs)

    @functools.cached_property
    def _data(self):
        return RunData(self.space.base, self.data_dir)

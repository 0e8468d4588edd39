from vlae_tf.runs.parts import arguments, build_part, find_class
from vlae_tf.training.averaged_optimizer import averaged


def recipe_optimizer(recipe, steps_per_epoch):
    """The optimiser of a recipe: averaged weights, and a learning rate for every step of the run.

    Args:
        recipe: `Recipe` of the run.
        steps_per_epoch: number of batches in an epoch.

    Raises:
        ValueError: for arguments that the optimiser or the schedule does not take.

    Example:
        >>> from vlae_tf.runs import Recipe
        >>> from vlae_tf.training import recipe_optimizer
        >>> optimizer = recipe_optimizer(Recipe.load("mnist_static"), steps_per_epoch=937)
        >>> type(optimizer).__name__, float(optimizer.learning_rate)
        ('AveragedAdamax', 0.0)

    Reference:
        Loshchilov & Hutter, "SGDR", 2017, equation 5 (the cosine).
    """
    cls = find_class(recipe.optimizer["class_name"])
    defaults = {"learning_rate": arguments(cls).get("learning_rate"), "ema_momentum": 0.9995}
    config = defaults | recipe.optimizer["config"]
    if recipe.schedule is not None:
        rate, steps = config["learning_rate"], recipe.epochs * steps_per_epoch
        config["learning_rate"] = _schedule(recipe.schedule, rate, steps)
    try:
        return averaged(cls)(**config)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`optimizer` cannot be built. {error}") from error


def _schedule(part, rate, steps):
    config = dict(part["config"])
    known = {"initial_learning_rate": rate}
    if "warmup_steps" in config:
        config["warmup_steps"] = min(config["warmup_steps"], steps // 10)
        if config["warmup_steps"]:
            known = {"initial_learning_rate": 0.0, "warmup_target": rate}
    known["decay_steps"] = steps - config.get("warmup_steps", 0)
    return build_part("schedule", {**part, "config": config}, **known)

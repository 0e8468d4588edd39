"""Checks of a model's parts, made when it is built."""

import keras

from vlae_tf.checks import refuse
from vlae_tf.distributions import CodeDistribution, ImageDistribution
from vlae_tf.likelihoods import Likelihood
from vlae_tf.objectives import Objective
from vlae_tf.posteriors import Posterior
from vlae_tf.priors import Prior

PARTS = {
    "encoder": keras.layers.Layer,
    "decoder": keras.layers.Layer,
    "posterior_family": Posterior,
    "prior_family": Prior,
    "likelihood_family": Likelihood,
    "objective": Objective,
}


def check_parts(model):
    """Raises a `ValueError` unless each part is of its kind and of the model's sizes."""
    for name, kind in PARTS.items():
        part = getattr(model, name)
        if not isinstance(part, kind):
            room = (
                "keras.layers" if kind is keras.layers.Layer else kind.__module__.rpartition(".")[0]
            )
            refuse(name, f"a `{room}.{kind.__name__}`", part)
        for argument in ("latent_dim", "image_shape"):
            expected = getattr(model, argument)
            if getattr(part, argument, expected) != expected:
                raise ValueError(
                    f"`{name}` must have the model's {argument}, {expected}. "
                    f"Received: {name}.{argument}={getattr(part, argument)}"
                )
    _check_precision(model)
    check_rungs_agree(model)
    model.objective.check_networks(model.decoder, model.likelihood_family)
    model.posterior_family.check(model)


def _check_precision(model):
    """Raises a `ValueError` unless weights and densities are float32, or all is float64."""
    if keras.config.floatx() != "float32":
        received = f"keras.config.floatx()={keras.config.floatx()!r}"
        refuse("floatx", "float32; `dtype` chooses the policy of a model", None, received)
    own = model.variable_dtype
    if own not in ("float32", "float64"):
        expected = "float32 or mixed_bfloat16: a policy with weights in float32"
        refuse("dtype", expected, model.dtype_policy.name)
    for name in PARTS.keys() - {"encoder", "decoder"}:
        if (found := getattr(model, name).variable_dtype) != own:
            raise ValueError(
                f"`{name}` must have the model's precision, {own}; a model that is float64 "
                f'throughout is loaded with dtype="float64". Received: {name} of {found}'
            )


def check_rungs_agree(model):
    """Raises a `ValueError` unless all parts that know of rungs, or of stages, know of the same."""
    for attribute in ("rungs", "feature_sizes"):
        known = {
            name: list(value)
            for name in PARTS
            if isinstance(value := getattr(getattr(model, name), attribute, None), (list, tuple))
        }
        if len({tuple(value) for value in known.values()}) > 1:
            received = ", ".join(f"{name}.{attribute}={value}" for name, value in known.items())
            raise ValueError(
                f"`{attribute}` must be the same in all parts that have them. Received: {received}"
            )


def check_names(objective, terms):
    """Raises a `ValueError` unless an objective gives its loss and the terms that it declares."""
    declared = {"loss", *objective.terms}
    if set(terms) != declared:
        raise ValueError(
            f"`objective` must give {', '.join(sorted(declared))}: its loss and what is declared "
            f"in `terms`. Received: {', '.join(sorted(terms))} from {type(objective).__name__}"
        )


def build_parts(model):
    """Builds the parts on symbolic images, and checks that what they give fits together."""
    rows = keras.KerasTensor((None, model.latent_dim), dtype=model.variable_dtype)
    images = keras.KerasTensor((None, *model.image_shape), dtype=model.variable_dtype)
    features = model.encoder(images)
    model.posterior_family(features)
    maps = model.decoder(rows)
    if tuple(maps.shape[1:3]) != model.image_shape[:2]:
        height, width, _ = model.image_shape
        raise ValueError(
            f"`decoder` must make maps of the image's size, (batch, {height}, {width}, maps). "
            f"Received: a decoder with output shape {maps.shape}"
        )
    if not model.likelihood_family.built:
        model.likelihood_family.build((None, *maps.shape[1:]))
        model.likelihood_family.built = True

    checks = _Checks(model)
    # Two rows: TFP's JAX substrate takes no batch of unknown size.
    checks(
        *(
            keras.KerasTensor((2, *tensor.shape[1:]), tensor.dtype)
            for tensor in (images, features, rows, maps)
        )
    )
    if checks.error is not None:
        raise checks.error


class _Checks(keras.layers.Layer):
    """Looks at a model's distributions of symbolic tensors, and keeps the error it finds.

    Raised within a call, it would come out of Keras as another error with other words.
    """

    def __init__(self, model):
        super().__init__(dtype=model.variable_dtype)
        self._run = lambda *tensors: _check_distributions(model, *tensors)
        self.error = None

    def call(self, images, features, noise, maps):
        try:
            return self._run(images, features, noise, maps)
        except ValueError as error:
            self.error = error
            return noise


def _check_distributions(model, images, features, noise, maps):
    parameters = model.posterior_family(features)
    parameters = model.posterior_family.refine(parameters, images, model)
    posterior = model.posterior_family.distribution(parameters)
    prior, likelihood = model.prior(), model.likelihood_family.distribution(maps)
    _check("posterior_family", posterior, CodeDistribution, (model.latent_dim,))
    _check("prior_family", prior, CodeDistribution, (model.latent_dim,))
    _check("likelihood_family", likelihood, ImageDistribution, model.image_shape)
    model.objective.check(posterior, prior)
    return posterior.from_noise(noise)


def _check(name, distribution, kind, event):
    shape = tuple(getattr(distribution, "event_shape", ()))
    if not isinstance(distribution, kind) or shape != event:
        raise ValueError(
            f"`{name}` must give a `{kind.__name__}` with event shape {event}. "
            f"Received: a {type(distribution).__name__} with event shape {shape}"
        )

import keras
import numpy as np
from keras import ops

from vlae_tf.backend import compiled
from vlae_tf.checks import check_integer

# What is wrong where a term is not finite; of other terms their unit is told.
_MEANINGS = {
    "reconstruction": "log p(x | z), the likelihood of the images",
    "kl": "log q(z | x) - log p(z), the posterior or the prior",
    "loss": "the objective",
}
_EVERYTHING = "pixels among the images that the model does not take, or the weights"


class NaNGuard(keras.callbacks.Callback):
    """Stops training at the first number that is not finite, and says which it is.

    After each step it looks at the terms of the objective, and at the weights, which a gradient
    that is not finite spoils while the loss is still finite.

    Args:
        every: steps between two looks at the weights, beside the one after each epoch. More than
            1 saves time where a step is short.

    Raises (in `fit`):
        FloatingPointError: names the first bad term, or the layers with bad weights, and the step.

    Example:
        >>> import keras, numpy as np
        >>> from vlae_tf.training import NaNGuard
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", loss="mse")
        >>> data = np.full((4, 1), np.nan), np.ones((4, 1))
        >>> model.fit(*data, callbacks=[NaNGuard()], verbose=0)
        Traceback (most recent call last):
        FloatingPointError: Training stopped at step 1 (epoch 1): loss is nan ...
    """

    def __init__(self, every=1):
        super().__init__()
        self.every = check_integer(every, "every", least=1)

    def on_train_begin(self, logs=None):
        objective = getattr(self.model, "objective", None)
        terms = getattr(objective, "terms", {"reconstruction": "nats", "kl": "nats"})
        # A bad term is bad in the loss as well: the first one is the origin. The ELBO is a
        # difference of two others.
        self._terms = {
            name: _MEANINGS.get(name, f"a term of the objective, {terms[name]}".strip(", "))
            for name in terms
            if name != "elbo"
        } | {"loss": _MEANINGS["loss"]}
        variables = self.model.trainable_variables
        self._finite = compiled(
            self.model, lambda: ops.stack([ops.all(ops.isfinite(v)) for v in variables])
        )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        # The logs are means over the epoch so far: one bad value stays in them.
        bad = {
            name: value
            for name in self._terms
            if not np.isfinite(value := float((logs or {}).get(name, 0.0)))
        }
        if bad:
            name, value = next(iter(bad.items()))
            if len(bad) == len(self._terms) > 1:
                self._stop(batch, f"all of {', '.join(bad)} are {value} ({_EVERYTHING})")
            others = [other for other in bad if other not in (name, "loss")]
            self._stop(
                batch,
                f"{name} is {value} ({self._terms[name]})"
                + "".join(f", and so is {other} ({self._terms[other]})" for other in others)
                + (f", or a gradient was so in the {self.every} steps before" * (self.every > 1)),
            )
        self._last = batch
        if (batch + 1) % self.every == 0:
            self._check_weights(batch)

    def on_epoch_end(self, epoch, logs=None):
        # Before a checkpoint is made of them.
        if (self._last + 1) % self.every:
            self._check_weights(self._last)

    def _check_weights(self, batch):
        if hasattr(self.model, "jax_state_sync"):
            # On JAX, variables are brought up to date only when asked for.
            self.model.jax_state_sync()
        finite = ops.convert_to_numpy(self._finite())
        if finite.all():
            return
        layers = [
            variable.path.rpartition("/")[0]
            for variable, good in zip(self.model.trainable_variables, finite, strict=True)
            if not good
        ]
        layers = list(dict.fromkeys(layers))
        more = f" and {len(layers) - 1} more" if len(layers) > 1 else ""
        self._stop(
            batch,
            "the loss is finite but its gradient was not; "
            f"not all weights are finite any more in {layers[0]}{more}",
        )

    def _stop(self, batch, what):
        step = self._epoch * (self.params.get("steps") or 0) + batch + 1
        raise FloatingPointError(
            f"Training stopped at step {step} (epoch {self._epoch + 1}): {what}. What helps: "
            "a lower learning rate, more steps of warm-up, clipping the gradient's norm, flows of "
            "means alone (`mean_only`), float32."
        )

import keras

from vlae_tf.checks import check_flag, check_integer
from vlae_tf.distributions import InverseAutoregressiveFlow
from vlae_tf.layers import MADE, Dense
from vlae_tf.posteriors.gaussian_posterior import GaussianPosterior


@keras.saving.register_keras_serializable(package="vlae_tf")
class IAFPosterior(GaussianPosterior):
    """Inverse autoregressive flow posterior: a diagonal Gaussian bent by steps that know the image.

        y ~ N(loc(h), diag(scale(h)^2)),    z = flow(y; c(h))

    Args:
        latent_dim: size of the code.
        steps: number of flow steps; the order is reversed between them.
        hidden_units: sizes of the hidden layers of each step's MADE.
        context_size: number of features of the context c.
        mean_only: whether the steps preserve volume.

    Input shape: `(batch, features)`; output: a dict of `loc`, `scale` and `context`.

    Example:
        >>> import keras
        >>> from vlae_tf.posteriors import IAFPosterior
        >>> family = IAFPosterior(3, steps=2, hidden_units=[8])
        >>> q = family.distribution(family(keras.ops.ones((2, 8))))
        >>> tuple(q.sample(seed=0).shape)
        (2, 3)

    Reference:
        Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016,
        algorithm 1.
    """

    def __init__(
        self,
        latent_dim,
        steps=2,
        hidden_units=(320, 320),
        context_size=64,
        mean_only=False,
        **kwargs,
    ):
        super().__init__(latent_dim, **kwargs)
        self.steps = check_integer(steps, "steps", 0)
        self.hidden_units = list(hidden_units)
        self.context_size = context_size
        self.mean_only = check_flag(mean_only, "mean_only")
        self._context = Dense(context_size, dtype=self.variable_dtype)
        self._steps = [
            MADE(
                latent_dim,
                self.hidden_units,
                mean_only=mean_only,
                order="reverse" if index % 2 else "forward",
                activation="elu",
                context_size=context_size,
                dtype=self.variable_dtype,
            )
            for index in range(steps)
        ]

    def build(self, input_shape):
        super().build(input_shape)
        self._context.build(input_shape)
        for step in self._steps:
            step.build((None, self.latent_dim), (None, self.context_size))

    def call(self, features):
        return {**super().call(features), "context": self._context(features)}

    def compute_output_spec(self, features):
        context = keras.KerasTensor(
            (features.shape[0], self.context_size), dtype=self.variable_dtype
        )
        return {**super().compute_output_spec(features), "context": context}

    def distribution(self, parameters):
        """The `InverseAutoregressiveFlow` with the parameters that `call` gave."""
        return InverseAutoregressiveFlow(
            parameters["loc"], parameters["scale"], self._steps, parameters["context"]
        )

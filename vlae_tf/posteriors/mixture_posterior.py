import keras
import numpy as np
from keras import ops

from vlae_tf.checks import check_integer, check_number
from vlae_tf.distributions import GaussianMixture
from vlae_tf.layers import Dense
from vlae_tf.layers.activations import positive_scale
from vlae_tf.posteriors.posterior import Posterior


@keras.saving.register_keras_serializable(package="vlae_tf")
class MixturePosterior(Posterior):
    """Mixture of diagonal Gaussians as posterior, which grows by one component after the other.

        Q_1 = q_1,    Q_m = (1 - eps_m(h)) Q_{m-1} + eps_m(h) q_m,    q(z | x) = Q_M
        q_m(z | x) = N(loc_m(h), diag(scale_m(h)^2)),    h the encoder's features

    The components are heads on one encoder, apart from the start by their random kernels, with
    equal weights in the mixture at first. A share eps_m keeps away from 0 and 1 by `least_share`,
    so that no component is lost for good. All in float32 whatever the policy.

    Train it with `RecursiveMixtureELBO` or `MixtureELBO`, which sum over the components. Other
    objectives draw one, and a draw has no gradient by the weights.

    Args:
        latent_dim: size of the code.
        components: number M of components, at least 2.
        least_share: least value of each eps_m and of 1 - eps_m.

    Input shape: `(batch, features)`; output: a dict of `logits`, the logarithms of the weights,
    `(batch, components)`, and of `loc` and `scale`, each `(batch, components, latent_dim)`.

    Raises:
        ValueError: for fewer than 2 components, or a share outside (0, 1 / components).

    Example:
        >>> import keras
        >>> from vlae_tf.posteriors import MixturePosterior
        >>> family = MixturePosterior(3, components=2)
        >>> q = family.distribution(family(keras.ops.ones((2, 8))))
        >>> tuple(q.weights().shape), tuple(q.from_noise(keras.ops.zeros((2, 3))).shape)
        ((2, 2), (2, 3))

    Reference:
        Kim & Pavlovic, "Recursive Inference for Variational Autoencoders", NeurIPS 2020, section 3.
    """

    def __init__(self, latent_dim, components=2, least_share=0.01, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.components = check_integer(components, "components", least=2)
        self.least_share = check_number(
            least_share, "least_share", above=0, below=1 / self.components
        )
        self._dense = Dense(2 * latent_dim * components, dtype=self.variable_dtype)
        # All weights are equal at the start.
        self._share = Dense(components - 1, kernel_initializer="zeros", dtype=self.variable_dtype)

    def build(self, input_shape):
        self._dense.build(input_shape)
        self._share.build(input_shape)

    def call(self, features):
        loc, raw_scale = ops.split(self._dense(features), 2, axis=-1)
        shape = (-1, self.components, self.latent_dim)
        return {
            "logits": self._log_weights(self._share(features)),
            "loc": ops.reshape(loc, shape),
            "scale": positive_scale(ops.reshape(raw_scale, shape)),
        }

    def _log_weights(self, raw_share):
        """log pi_m = log eps_m + sum_{k > m} log(1 - eps_k), `(batch, components)`."""
        room = 1.0 - 2.0 * self.least_share
        # At 0, eps_m = 1 / m, and all weights are equal.
        equal = 1.0 / np.arange(2, self.components + 1)
        start = (equal - self.least_share) / room
        start = ops.convert_to_tensor(np.log(start) - np.log1p(-start), raw_share.dtype)
        share = self.least_share + room * ops.sigmoid(raw_share + start)
        zero = ops.zeros_like(raw_share[:, :1])
        taken = ops.concatenate([zero, ops.log(share)], axis=-1)
        left = ops.concatenate([ops.log1p(-share), zero], axis=-1)
        return taken + ops.flip(ops.cumsum(ops.flip(left, axis=-1), axis=-1), axis=-1)

    def compute_output_spec(self, features):
        shape = (features.shape[0], self.components)
        logits = keras.KerasTensor(shape, dtype=self.variable_dtype)
        output = keras.KerasTensor((*shape, self.latent_dim), dtype=self.variable_dtype)
        return {"logits": logits, "loc": output, "scale": output}

    def distribution(self, parameters):
        """The `GaussianMixture` with the parameters that `call` gave."""
        return GaussianMixture(parameters["logits"], parameters["loc"], parameters["scale"])

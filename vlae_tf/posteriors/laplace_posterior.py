import math

import keras
from keras import ops

from vlae_tf.backend import cholesky
from vlae_tf.checks import check_integer, check_number, refuse
from vlae_tf.distributions import FullGaussian
from vlae_tf.layers import Dense
from vlae_tf.posteriors.posterior import Posterior

# The most precision that float32 holds beside the prior's 1: the trace of what an image says.
_MOST_PRECISION = 1e6
# Layers that are another function in training, or of the other rows.
_NOT_LINEAR = (keras.layers.BatchNormalization, keras.layers.Dropout)


@keras.saving.register_keras_serializable(package="vlae_tf")
class LaplacePosterior(Posterior):
    """Laplace posterior: a Gaussian where the decoder says that the code is, and as wide.

        mu_0 = loc(h),    mu_{t+1} = mu_t + rate / (t + 1) Lambda_t^-1 (J_t^T e_t - mu_t)
        q(z | x) = N(mu_T, Lambda_T^-1),    Lambda_t = I + J_t^T diag(a_t) J_t

    with h the encoder's features and J the Jacobian of the decoder's outputs at mu_t; e and a are
    the first and minus the second derivative of log p(x | z) by each output. So each step is a
    damped Newton step, and Lambda minus the Hessian of log p(x, z), wherever no unit of the decoder
    is at its kink. The encoder gives the start, the decoder the covariance; gradients of the bound
    flow through all of it into both. In float32 whatever the policy, by the Cholesky factor of the
    precision, whose eigenvalues are 1 or more. An image that says more than float32 holds (a trace
    of the precision above 1e6) counts as that much less.

    The decoder is an `MLPDecoder` with activation "relu", "leaky_relu" or "linear", or another with
    a `jacobian(code)`; the likelihood a `BernoulliLikelihood` or `GaussianLikelihood`, or another
    with `residual_and_weight(outputs, images)` and `outputs_jacobian(maps_jacobian)`; the prior is
    N(0, I). Refining costs `steps + 1` Jacobians, each about `latent_dim` runs of the decoder.

    Args:
        latent_dim: size of the code.
        steps: number T of Newton steps; 0 keeps the encoder's mean.
        rate: size of the first step, at most 1. A whole step may overshoot where units switch.

    Input shape: `(batch, features)`; output: a dict of `loc`, `(batch, latent_dim)`, and
    `precision_cholesky`, `(batch, latent_dim, latent_dim)`: the prior's, I, until `refine` has seen
    the decoder.

    Raises:
        ValueError: for steps below 0, or a rate outside (0, 1]; when the model is built, for a
            decoder, likelihood or prior of another kind, or batch normalisation or dropout in the
            decoder.

    Example:
        >>> import keras, vlae_tf
        >>> from vlae_tf.networks import MLPDecoder, MLPEncoder
        >>> from vlae_tf.posteriors import LaplacePosterior
        >>> model = vlae_tf.VLAE(
        ...     (4, 4, 1), 2, MLPEncoder([8]), MLPDecoder((4, 4, 1), units=[8], activation="relu"),
        ...     posterior_family=LaplacePosterior(2, steps=2),
        ...     prior_family=vlae_tf.priors.FlowPrior(2, steps=0),
        ...     likelihood_family=vlae_tf.likelihoods.BernoulliLikelihood((4, 4, 1)),
        ... )
        >>> posterior = model.posterior(keras.ops.ones((3, 4, 4, 1)))
        >>> type(posterior).__name__, bool(keras.ops.all(posterior.spread() <= 1))
        ('FullGaussian', True)

    Reference:
        Park et al., "Variational Laplace Autoencoders", ICML 2019, section 3.
    """

    def __init__(self, latent_dim, steps=1, rate=0.5, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.steps = check_integer(steps, "steps", least=0)
        self.rate = check_number(rate, "rate", above=0, most=1)
        self._dense = Dense(latent_dim, dtype=self.variable_dtype)

    def build(self, input_shape):
        self._dense.build(input_shape)

    def call(self, features):
        loc = self._dense(features)
        return {"loc": loc, "precision_cholesky": self._eye(loc)}

    def _eye(self, loc):
        eye = ops.eye(self.latent_dim, dtype=loc.dtype)
        return ops.broadcast_to(eye, (ops.shape(loc)[0], self.latent_dim, self.latent_dim))

    def compute_output_spec(self, features):
        shape = (features.shape[0], self.latent_dim)
        loc = keras.KerasTensor(shape, dtype=self.variable_dtype)
        factor = keras.KerasTensor((*shape, self.latent_dim), dtype=self.variable_dtype)
        return {"loc": loc, "precision_cholesky": factor}

    def check(self, model):
        decoder, likelihood, prior = model.decoder, model.likelihood_family, model.prior_family
        if not hasattr(decoder, "jacobian"):
            refuse(
                "decoder",
                "one with `jacobian(code)`, such as `MLPDecoder`: `LaplacePosterior` linearises it",
                decoder,
            )
        for layer in decoder._flatten_layers():
            if isinstance(layer, _NOT_LINEAR):
                expected = "without batch normalisation and dropout, to be linearised"
                refuse("decoder", expected, decoder, f"a decoder with {type(layer).__name__}")
        if not hasattr(likelihood, "residual_and_weight"):
            refuse(
                "likelihood_family",
                "one with `residual_and_weight`, such as `BernoulliLikelihood` or "
                "`GaussianLikelihood`, for `LaplacePosterior`: the outputs of a PixelCNN depend on "
                "the image too",
                likelihood,
            )
        if getattr(prior, "steps", None) != 0:
            expected = "N(0, I), `FlowPrior(latent_dim, steps=0)`, for `LaplacePosterior`"
            refuse("prior_family", expected, prior)

    def refine(self, parameters, images, model):
        """Newton steps from the encoder's mean, and the precision where they end."""
        loc = parameters["loc"]
        for step in range(self.steps):
            gradient, factor = self._gradient_and_factor(loc, images, model)
            upper = ops.transpose(factor, (0, 2, 1))
            change = ops.solve_triangular(factor, gradient[..., None], lower=True)
            change = ops.solve_triangular(upper, change)[..., 0]
            loc = loc + self.rate / (step + 1) * change
        return {"loc": loc, "precision_cholesky": self._gradient_and_factor(loc, images, model)[1]}

    def _gradient_and_factor(self, loc, images, model):
        """Gradient of log p(x, z) at codes, and the Cholesky factor of minus its Hessian."""
        likelihood = model.likelihood_family
        outputs = likelihood(model.decoder(loc))
        residual, weight = likelihood.residual_and_weight(outputs, images)
        jacobian = likelihood.outputs_jacobian(model.decoder.jacobian(loc))
        pixels = math.prod(model.image_shape)
        jacobian = ops.reshape(jacobian, (-1, self.latent_dim, pixels))
        weighted = jacobian * ops.reshape(weight, (-1, 1, pixels))
        data = ops.matmul(weighted, ops.transpose(jacobian, (0, 2, 1)))
        trace = ops.sum(ops.diagonal(data, axis1=1, axis2=2), axis=1)[:, None]
        # As if the likelihood had that exponent: Newton's step stays a step of one function.
        share = _MOST_PRECISION / ops.maximum(trace, _MOST_PRECISION)
        slope = ops.matmul(jacobian, ops.reshape(residual, (-1, pixels, 1)))[..., 0]
        return share * slope - loc, cholesky(share[..., None] * data + self._eye(loc))

    def distribution(self, parameters):
        """The `FullGaussian` with the parameters that `call` and `refine` gave."""
        return FullGaussian(parameters["loc"], parameters["precision_cholesky"])

import keras
from keras import ops

from vlae_tf.checks import check_code_shape
from vlae_tf.distributions import DiagonalGaussian
from vlae_tf.layers import Dense
from vlae_tf.layers.activations import positive_scale
from vlae_tf.posteriors.posterior import Posterior


@keras.saving.register_keras_serializable(package="vlae_tf")
class GaussianPosterior(Posterior):
    """Diagonal Gaussian posterior.

        q(z | x) = N(loc(h), diag(scale(h)^2)),    h the encoder's features

    `scale` is a softplus, 1 where its argument is 0; all in float32 whatever the policy.

    Args:
        latent_dim: size of the code.
        code_shape: `(height, width, channels)` of a code laid out as a map, with `latent_dim`
            numbers in all; None for a plain vector. The features of a map must be a map of that
            height and width, flattened, and a 1x1 convolution takes the place of the dense layer:
            each position of the code comes from its own place in the image.

    Input shape: `(batch, features)`; output: a dict of `loc` and `scale`, each
    `(batch, latent_dim)`.

    Example:
        >>> import keras
        >>> from vlae_tf.posteriors import GaussianPosterior
        >>> family = GaussianPosterior(3)
        >>> q = family.distribution(family(keras.ops.ones((2, 8))))
        >>> tuple(q.sample(seed=0).shape)
        (2, 3)

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, section 3.
    """

    def __init__(self, latent_dim, code_shape=None, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.code_shape = None if code_shape is None else check_code_shape(code_shape, latent_dim)
        # A dense layer over the channels is a 1x1 convolution.
        outputs = latent_dim if self.code_shape is None else self.code_shape[-1]
        self._dense = Dense(2 * outputs, dtype=self.variable_dtype)

    def build(self, input_shape):
        if self.code_shape is not None:
            height, width, _ = self.code_shape
            channels, rest = divmod(input_shape[-1], height * width)
            if rest:
                raise ValueError(
                    f"The features must be maps of {height}x{width}, flattened, for a code of "
                    f"shape {self.code_shape}. Received: {input_shape[-1]} features"
                )
            input_shape = (None, channels)
        self._dense.build(input_shape)

    def call(self, features):
        if self.code_shape is not None:
            # Positions as rows: a product of matrices of rank 4 corrupts memory in TensorFlow 2.21
            # (tensorflow/tensorflow#117700).
            height, width, _ = self.code_shape
            features = ops.reshape(features, (-1, features.shape[-1] // (height * width)))
        loc, raw_scale = ops.split(self._dense(features), 2, axis=-1)
        if self.code_shape is not None:
            shape = (-1, self.latent_dim)
            loc, raw_scale = ops.reshape(loc, shape), ops.reshape(raw_scale, shape)
        return {"loc": loc, "scale": positive_scale(raw_scale)}

    def compute_output_spec(self, features):
        output = keras.KerasTensor((features.shape[0], self.latent_dim), dtype=self.variable_dtype)
        return {"loc": output, "scale": output}

    def distribution(self, parameters):
        """The `DiagonalGaussian` with the parameters that `call` gave."""
        return DiagonalGaussian(parameters["loc"], parameters["scale"])

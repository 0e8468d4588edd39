"""Systems of the field as a user would write them: parts of at most 30 lines, outside the package.

They prove that the contracts of `Posterior`, `Prior`, `Objective`, encoder and decoder carry.
"""

import math

import keras
from keras import ops

from vlae_tf.backend import tfd, tfp
from vlae_tf.distributions import CodeDistribution, choose_component
from vlae_tf.layers import ConfiguredLayer, Dense
from vlae_tf.noise import batch_normal
from vlae_tf.objectives import Objective, log_weights
from vlae_tf.posteriors import GaussianPosterior, Posterior
from vlae_tf.priors import Prior

register = keras.saving.register_keras_serializable(package="outside")


# === A Gaussian posterior with a full covariance ===


class MyFullGaussian(CodeDistribution, tfd.MultivariateNormalTriL):
    def from_noise(self, noise):
        return self.loc + ops.sum(self.scale_tril * noise[..., None, :], axis=-1)


@register
class MyFullGaussianPosterior(Posterior):
    def __init__(self, latent_dim, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self._dense = Dense(latent_dim * (latent_dim + 1), dtype="float32")

    def build(self, features_shape):
        self._dense.build(features_shape)

    def call(self, features):
        outputs = self._dense(features)
        return {"loc": outputs[:, : self.latent_dim], "raw": outputs[:, self.latent_dim :]}

    def distribution(self, parameters):
        matrix = ops.reshape(parameters["raw"], (-1, self.latent_dim, self.latent_dim))
        eye = ops.eye(self.latent_dim)
        scale = ops.tril(matrix) * (1 - eye) + (ops.softplus(matrix) + 0.4) * eye
        return MyFullGaussian(parameters["loc"], scale_tril=scale)


# === A mixture of two Gaussians, as posterior and as prior ===


class MyMixture(CodeDistribution, tfd.MixtureSameFamily):
    """Components on the second axis from the right: logits (..., k), loc and scale (..., k, d)."""

    def __init__(self, logits, loc, scale, name="MyMixture"):
        parameters = {"logits": logits, "loc": loc, "scale": scale, "name": name}
        normal = tfd.MultivariateNormalDiag(loc, scale)
        super().__init__(tfd.Categorical(logits=logits), normal, name=name)
        self._parameters = parameters
        self._logits, self._loc, self._scale = logits, loc, scale

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        axes = {"logits": 1, "loc": 2, "scale": 2}
        return {k: tfp.util.ParameterProperties(event_ndims=n) for k, n in axes.items()}

    def from_noise(self, noise):
        one_hot, rest = choose_component(self._logits, noise[..., 0])
        noise = ops.concatenate([rest[..., None], noise[..., 1:]], axis=-1)
        weights = one_hot[..., None]
        loc, scale = (ops.sum(weights * t, axis=-2) for t in (self._loc, self._scale))
        return loc + scale * noise

    def center(self):
        best = ops.one_hot(ops.argmax(self._logits, axis=-1), self._logits.shape[-1])
        return ops.sum(best[..., None] * self._loc, axis=-2)


@register
class MyMixturePosterior(Posterior):
    def __init__(self, latent_dim, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self._dense = Dense(2 * (1 + 2 * latent_dim), dtype="float32")

    def build(self, features_shape):
        self._dense.build(features_shape)

    def call(self, features):
        return {"raw": self._dense(features)}

    def distribution(self, parameters):
        raw = ops.reshape(parameters["raw"], (-1, 2, 1 + 2 * self.latent_dim))
        loc, scale = ops.split(raw[..., 1:], 2, axis=-1)
        return MyMixture(raw[..., 0], loc, ops.softplus(scale) + 0.4)


@register
class MyMixturePrior(Prior):
    def __init__(self, latent_dim, components=3, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.components = components
        shape = (components, latent_dim)
        self._logits = self.add_weight(shape=(components,), initializer="zeros", name="logits")
        self._loc = self.add_weight(shape=shape, initializer="random_normal", name="loc")
        self._raw = self.add_weight(shape=shape, initializer="ones", name="raw_scale")
        self.built = True

    def distribution(self):
        logits, loc, raw = map(ops.convert_to_tensor, (self._logits, self._loc, self._raw))
        return MyMixture(logits, loc, ops.softplus(raw) + 0.01)


# === A ladder of two rungs over one flat code ===


@register
class MyLadderEncoder(ConfiguredLayer):
    """Features of both rungs side by side: the second rung's come from the first rung's."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self._low, self._high = Dense(units), Dense(units)

    def build(self, images_shape):
        self._low.build((None, math.prod(images_shape[1:])))
        self._high.build((None, self.units))

    def call(self, images):
        low = ops.tanh(self._low(ops.reshape(images, (-1, math.prod(images.shape[1:])))))
        return ops.concatenate([low, ops.tanh(self._high(low))], axis=-1)


@register
class MyLadderPosterior(GaussianPosterior):
    """Each rung's part of the code from that rung's half of the features alone."""

    def __init__(self, latent_dim, rungs, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.rungs = list(rungs)
        self._heads = [Dense(2 * size, dtype="float32") for size in self.rungs]

    def build(self, features_shape):
        for head in self._heads:
            head.build((None, features_shape[-1] // len(self.rungs)))

    def call(self, features):
        halves = ops.split(features, len(self.rungs), axis=-1)
        pairs = [ops.split(h(x), 2, axis=-1) for h, x in zip(self._heads, halves, strict=True)]
        loc, raw = (ops.concatenate(part, axis=-1) for part in zip(*pairs, strict=True))
        return {"loc": loc, "scale": ops.softplus(raw) + 0.4}


@register
class MyLadderDecoder(ConfiguredLayer):
    """The higher rung first; the lower one joins it on the way to the maps."""

    def __init__(self, image_shape, rungs, maps=2, units=4, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.rungs = tuple(image_shape), list(rungs)
        self.maps, self.units = maps, units
        self._high = Dense(units)
        self._low = Dense(math.prod(self.image_shape[:2]) * maps)

    def build(self, code_shape):
        self._high.build((None, self.rungs[1]))
        self._low.build((None, self.units + self.rungs[0]))

    def call(self, code):
        low, high = ops.split(code, [self.rungs[0]], axis=-1)
        h = ops.concatenate([ops.tanh(self._high(high)), low], axis=-1)
        return ops.reshape(self._low(h), (-1, *self.image_shape[:2], self.maps))


# === The importance-weighted bound ===


@register
class ImportanceWeightedBound(Objective):
    terms = {**Objective.terms, "bound": "nats"}

    def __init__(self, samples=4, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.samples, self.seed = samples, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, images, model, training=False):
        shape = (self.samples, ops.shape(images)[0], model.latent_dim)
        noise = batch_normal(shape, self.seed_generator, axis=1)
        weights = log_weights(model, images, noise, training=training)
        bound = ops.logsumexp(weights.log_w, axis=0) - math.log(self.samples)
        elbo = weights.log_w[0]
        first = {"reconstruction": weights.reconstruction[0], "kl": weights.kl[0]}
        return {"loss": -ops.mean(bound), "elbo": elbo, "bound": bound, **first}

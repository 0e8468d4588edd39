import logging

import keras
import numpy as np
from keras import ops

from vlae_tf import layers
from vlae_tf.backend import compiled, unshare
from vlae_tf.checks import (
    check_batch_shape,
    check_data,
    check_image_shape,
    check_images,
    check_integer,
    check_known,
)
from vlae_tf.likelihoods.pixelcnn_likelihood import PixelCNNLikelihood
from vlae_tf.networks.resnet_decoder import ResNetDecoder
from vlae_tf.networks.resnet_encoder import ResNetEncoder
from vlae_tf.noise import row_normal, row_uniform
from vlae_tf.objectives import ELBO
from vlae_tf.posteriors.gaussian_posterior import GaussianPosterior
from vlae_tf.priors.flow_prior import FlowPrior
from vlae_tf.seeds import row_seeds

log = logging.getLogger(__name__)

_PARTS = (
    "encoder",
    "decoder",
    "posterior_family",
    "prior_family",
    "likelihood_family",
    "objective",
)


@keras.saving.register_keras_serializable(package="vlae_tf")
class VLAE(keras.Model):
    """Variational Lossy Autoencoder: a VAE whose decoder sees a small window of the image.

        log p(x) >= E_q[ log p(x | z) + log p(z) - log q(z | x) ]
        p(x | z) = prod_i p(x_i | z, x_window(i)),        z = f(eps), eps ~ N(0, I)

    What the window shows is left to the decoder, so the code keeps what it does not: the global
    structure. Each part can be replaced: posterior, prior, likelihood and objective.

    Args:
        image_shape: `(height, width, channels)`.
        latent_dim: size of the code. 0 makes the paper's control, the same decoder without a code.
        encoder: layer from scaled images `(batch, height, width, channels)` to features
            `(batch, n)`.
        decoder: layer from codes `(batch, latent_dim)` to maps `(batch, height, width, m)`.
        posterior_family: layer from features to q(z | x): `GaussianPosterior` or `IAFPosterior`.
        prior_family: layer that holds p(z): `FlowPrior`, with `steps=0` for N(0, I).
        likelihood_family: layer from maps to p(x | z): for binary images `PixelCNNLikelihood` or
            `BernoulliLikelihood`, for grey or colour images of 256 levels
            `LogisticMixtureLikelihood`.
        objective: what training minimises: `ELBO` or `SoftFreeBitsELBO`.
        seed: of the default objective's sample of the code. Initial weights follow
            `keras.utils.set_random_seed`.

    Input: images of {0, 1}, or of 0..255 where the likelihood has 256 levels; float or uint8,
    channels last. Scaling happens inside.
    Output of a call: a dict of `code` and `scale`, the deterministic encoding: the posterior's code
    at zero noise, and the standard deviation of its Gaussian, float32 `(batch, latent_dim)`.
    Metrics: `loss`, `elbo`, `reconstruction` and `kl` in nats an image, `bits_per_dim`,
    `code_bits`. Data with other pixels than these that nobody could look at before, such as those
    of a generator, make the loss NaN, of which `fit` warns.

    Raises:
        ValueError: for a shape or a size that cannot be, and parts that do not fit together.

    Example:
        >>> import keras, numpy as np, vlae_tf
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> model = vlae_tf.VLAE(
        ...     image_shape=(8, 8, 1),
        ...     latent_dim=4,
        ...     encoder=ResNetEncoder(filters=[4, 8], blocks=1, units=16),
        ...     decoder=ResNetDecoder((8, 8, 1), maps=4, filters=[4, 8], blocks=1, units=16),
        ... )
        >>> model.compile(optimizer=keras.optimizers.Adamax(2e-3, use_ema=True))
        >>> history = model.fit(np.zeros((16, 8, 8, 1), "uint8"), verbose=0)
        >>> sorted(history.history)
        ['bits_per_dim', 'code_bits', 'elbo', 'kl', 'loss', 'reconstruction']

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equations 11 to 14.
    """

    def __init__(
        self,
        image_shape=(28, 28, 1),
        latent_dim=32,
        encoder=None,
        decoder=None,
        posterior_family=None,
        prior_family=None,
        likelihood_family=None,
        objective=None,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape = check_image_shape(image_shape)
        check_integer(latent_dim, "latent_dim", 0)
        self.latent_dim = int(latent_dim)
        self.seed = seed
        policy = {"dtype": self.dtype_policy}

        # === Parts ===
        if encoder is None:
            # Without a code there is nothing to encode.
            kind = ResNetEncoder if self.latent_dim else keras.layers.GlobalAveragePooling2D
            encoder = kind(**policy)
        self.encoder = encoder
        self.decoder = decoder or ResNetDecoder(self.image_shape, **policy)
        self.posterior_family = posterior_family or GaussianPosterior(self.latent_dim)
        self.prior_family = prior_family or FlowPrior(
            self.latent_dim, steps=4 if self.latent_dim else 0
        )
        self.likelihood_family = likelihood_family or PixelCNNLikelihood(self.image_shape, **policy)
        self.objective = objective or ELBO(seed=seed)
        self._check_parts()

        # === Metrics, nats or bits an image ===
        self._trackers = {
            name: keras.metrics.Mean(name=name)
            for name in ("elbo", "reconstruction", "kl", "bits_per_dim", "code_bits")
        }
        self._compiled_functions = {}
        self.build()

    def build(self, input_shape=None):
        images = keras.KerasTensor((None, *self.image_shape), dtype="float32")
        self.posterior_family(self.encoder(images))
        maps = self.decoder(keras.KerasTensor((None, max(self.latent_dim, 1)), dtype="float32"))
        if tuple(maps.shape[1:3]) != self.image_shape[:2]:
            raise ValueError(
                "`decoder` must make maps of the image's size, "
                f"(batch, {self.image_shape[0]}, {self.image_shape[1]}, maps). "
                f"Received: a decoder with output shape {maps.shape}"
            )
        if not self.likelihood_family.built:
            self.likelihood_family.build((None, *maps.shape[1:]))
            self.likelihood_family.built = True
        self.built = True

    def _check_parts(self):
        for name in _PARTS:
            part = getattr(self, name)
            for argument in ("latent_dim", "image_shape"):
                value = getattr(part, argument, getattr(self, argument))
                if value != getattr(self, argument):
                    raise ValueError(
                        f"`{name}` must have the model's {argument}, {getattr(self, argument)}. "
                        f"Received: {name}.{argument}={value}"
                    )

    @property
    def levels(self):
        """The number of values of a channel: pixels are integers from 0 to one less."""
        return self.likelihood_family.levels

    # === The four parts ===

    def posterior(self, images, training=False):
        """q(z | x), a TFP distribution over codes: batch `(batch,)`, event `(latent_dim,)`."""
        return self.posterior_family.distribution(self.posterior_parameters(images, training))

    def prior(self):
        """p(z), a TFP distribution over codes: batch `()`, event `(latent_dim,)`."""
        return self.prior_family.distribution()

    def likelihood(self, code, training=False):
        """p(x | z), a TFP distribution over images: batch `(batch,)`, event `image_shape`."""
        return self.likelihood_family.distribution(
            self._decoded(code, training=training), training=training
        )

    def posterior_parameters(self, images, training=False):
        """The parameters that `posterior_family` makes a distribution of, a dict with `loc`."""
        scaled = 2.0 * ops.cast(images, "float32") / (self.levels - 1) - 1.0
        features = self.encoder(scaled, training=training)
        return self.posterior_family(ops.cast(features, "float32"))

    def _decoded(self, code, training=False):
        """The decoder's maps."""
        if self.latent_dim:
            return self.decoder(code, training=training)
        # Without a code all images have the same maps, which one row makes. Its one zero says
        # nothing, but oneDNN ends the process at a matrix product over nothing.
        maps = self.decoder(ops.zeros((1, 1)), training=training)
        return ops.broadcast_to(maps, (ops.shape(code)[0], *maps.shape[1:]))

    # === Keras ===

    def call(self, images, training=False):
        check_batch_shape(images.shape, self.image_shape)
        parameters = self.posterior_parameters(images, training)
        posterior = self.posterior_family.distribution(parameters)
        code = posterior.transform_noise(ops.zeros_like(parameters["loc"]))
        return {"code": code, "scale": parameters["scale"]}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if sample_weight is not None:
            raise ValueError(
                "`sample_weight` and `class_weight` must be None: every image counts the same. "
                f"Received: sample_weight={sample_weight!r}"
            )
        pixels = ops.cast(x, "float32")
        right = ops.logical_and(pixels >= 0, pixels <= self.levels - 1)
        right = ops.logical_and(right, ops.equal(pixels, ops.floor(pixels)))
        # Other pixels make the loss NaN, and no gradient: the weights stay finite.
        x = ops.where(right, x, ops.zeros_like(x))
        terms = self.objective(x, model=self, training=training)
        nats = {name: terms[name] for name in ("elbo", "reconstruction", "kl")}
        bits = {
            "bits_per_dim": -terms["elbo"] / (np.prod(self.image_shape) * np.log(2)),
            "code_bits": terms["kl"] / np.log(2),
        }
        for name, value in (nats | bits).items():
            self._trackers[name].update_state(value)
        # What the parts add, such as regularisers.
        loss = sum((ops.cast(added, "float32") for added in self.losses), start=terms["loss"])
        return ops.where(ops.all(right), loss, float("nan"))

    def fit(self, x=None, *args, **kwargs):
        validation = kwargs.get("validation_data")
        for data in (x, validation[0] if isinstance(validation, tuple) else validation):
            check_data(data, self.image_shape, self.levels)
        if self.compiled:
            unshare(self.optimizer.variables)
        history = super().fit(x, *args, **kwargs)
        if np.isnan(history.history.get("loss", [])).any():
            log.warning(
                "The loss is NaN: training diverged, or images had pixels other than whole numbers "
                "from 0 to %d; scaling happens inside.",
                self.levels - 1,
            )
        return history

    def evaluate(self, x=None, *args, **kwargs):
        check_data(x, self.image_shape, self.levels)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        check_data(x, self.image_shape, self.levels)
        return super().predict(x, *args, **kwargs)

    def save_own_variables(self, store):
        # Keras does not save seed generators; without them a resumed run would draw other noise.
        for index, state in enumerate(self._seed_states()):
            store[f"seed_state_{index}"] = state

    def load_own_variables(self, store):
        states = self._seed_states()
        # Where dropout is in other layers, the noise is another in any case.
        if len(store.keys()) == len(states):
            for index, state in enumerate(states):
                state.assign(np.asarray(store[f"seed_state_{index}"]))

    def _seed_states(self):
        saved = {id(weight) for weight in self.weights}
        return [v for v in self.non_trainable_variables if id(v) not in saved]

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "latent_dim": self.latent_dim,
            **{part: keras.saving.serialize_keras_object(getattr(self, part)) for part in _PARTS},
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = {
            name: keras.saving.deserialize_keras_object(value, custom_objects)
            for name, value in config.items()
            if isinstance(value, dict)
        }
        return cls(**{**config, **parts})

    def initialize_from_data(self, images):
        """Data-dependent initialisation of the weight-normalised layers, on a batch of images.

        Encoder, prior, decoder and PixelCNN see what they see in training: the batch, and codes
        drawn from its posterior. See `vlae_tf.layers.initialize_from_data`. Call it before
        training, with a hundred images or more.
        """
        layers.initialize_from_data(
            self, self.check_images(images), run=lambda x: self.objective(x, model=self)
        )

    # === Codes and images ===

    def encode(self, images):
        """The codes of images, float32 `(batch, latent_dim)`: the posterior at zero noise.

        Of a Gaussian posterior that is the mean.
        """
        return self._run("encode", lambda x: self(x)["code"], self.check_images(images))

    def decode(self, code, seed=0, known=None, mask=None):
        """Images drawn from p(x | z), float32 of whole numbers, `(batch, *image_shape)`.

        Args:
            code: `(batch, latent_dim)`.
            seed: an integer, or one for each row. A row depends on its own code and seed alone.
            known: images to complete: the pixels where `mask` is true stay as they are, the others
                are drawn from p(unknown | known, z). `(batch, *image_shape)`, or what broadcasts.
            mask: boolean, as `known`. What a known pixel sees must be known: the first rows, say;
                and a pixel in all its channels or in none.
        """
        code = np.asarray(code, "float32")
        if code.ndim != 2 or code.shape[1] != self.latent_dim or not len(code):
            raise ValueError(
                f"`code` must have shape (batch, {self.latent_dim}), with at least one row. "
                f"Received: code with shape {code.shape}"
            )
        if not np.isfinite(code).all():
            raise ValueError(
                "`code` must be of finite numbers. "
                f"Received: code with {np.count_nonzero(~np.isfinite(code))} that are not"
            )
        rows = [code, row_seeds(seed, len(code))]
        if known is None and mask is None:
            return self._run("decode", self.decode_rows, *rows)
        network = getattr(self.likelihood_family, "network", None)
        field = network and network.receptive_field
        rows += check_known(known, mask, (len(code), *self.image_shape), field, self.levels)
        return self._run("complete", self.decode_rows, *rows)

    def reconstruct(self, images, seed=0):
        """Images drawn from p(x | z) at the codes of `images`.

        What the code keeps stays, the rest is drawn anew.
        """
        return self.decode(self.encode(images), seed=seed)

    def sample(self, n, seed=0, temperature=1.0):
        """`n` new images: z from the prior, x from p(x | z).

        Args:
            n: number of images.
            seed: an integer, or one for each image. The first images of a larger n are those of a
                smaller one.
            temperature: scale of the prior's noise; less than 1 gives more typical codes.
        """
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"`n` must be a positive integer. Received: n={n!r}")
        if not temperature >= 0:
            raise ValueError(
                f"`temperature` must be at least 0. Received: temperature={temperature!r}"
            )
        temperatures = np.full(n, temperature, "float32")
        return self._run(
            "sample", lambda s, t: self.sample_rows(s, t)[0], row_seeds(seed, n), temperatures
        )

    def decode_rows(self, code, seeds, known=None, mask=None):
        """`decode` on tensors, for use inside graphs: one seed a row."""
        likelihood = self.likelihood(code)
        noise = row_uniform(seeds, likelihood.noise_shape, salt=1)
        return likelihood.transform_uniform(noise, known, mask)

    def sample_rows(self, seeds, temperatures):
        """`sample` on tensors, for use inside graphs: images and codes, one seed and temperature
        a row."""
        noise = row_normal(seeds, (self.latent_dim,)) * ops.expand_dims(temperatures, -1)
        code = self.prior().transform_noise(noise)
        return self.decode_rows(code, seeds), code

    def log_likelihood(self, images, importance_samples=256, seed=0):
        """Importance-weighted estimate of log p(x), nats `(batch,)`; see `vlae_tf.evaluation`."""
        from vlae_tf.models import importance_weighted_log_prob

        return importance_weighted_log_prob(
            self, self.check_images(images), importance_samples, seed=seed
        )

    def export(self, filepath, version=None, **kwargs):
        """Writes a SavedModel with the five signatures below `filepath`; see `vlae_tf.serving`."""
        from vlae_tf.saved_model import export

        return export(self, filepath, version=version, **kwargs)

    def check_images(self, images):
        """`images` as a float32 array, or a `ValueError` that says what is wrong with them."""
        check_images(images, self.image_shape, self.levels)
        return np.asarray(images, "float32")

    def _run(self, name, function, *rows, batch_size=128):
        """`function` compiled once, over batches of rows; NumPy in, NumPy out."""
        if name not in self._compiled_functions:
            self._compiled_functions[name] = compiled(self, function)
        run = self._compiled_functions[name]
        batches = [
            ops.convert_to_numpy(run(*(row[start : start + batch_size] for row in rows)))
            for start in range(0, len(rows[0]), batch_size)
        ]
        return np.concatenate(batches)

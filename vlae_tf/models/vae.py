from collections.abc import Sequence
from typing import Self

import keras
import numpy as np
from keras import ops

from vlae_tf import catalogue
from vlae_tf.backend import full_precision, own_share
from vlae_tf.checks import check_batch_shape, check_image_shape, check_integer
from vlae_tf.files import PathLike
from vlae_tf.layers import initialize_from_data
from vlae_tf.models.allowed import check_classes
from vlae_tf.models.codec import Codec
from vlae_tf.models.folder import read_model
from vlae_tf.models.image_model import ImageModel, refuse_weights
from vlae_tf.models.parts import PARTS, build_parts, check_names, check_parts
from vlae_tf.priors import most_probable_clusters


@keras.saving.register_keras_serializable(package="vlae_tf")
class VAE(Codec, ImageModel):
    """Variational autoencoder of images, made of four parts: posterior, prior, likelihood,
    objective.

        log p(x) >= E_q[ log p(x | z) + log p(z) - log q(z | x) ]

    Every part can be replaced by one's own. `VLAE` has those of the lossy paper as defaults.

    Args:
        image_shape: `(height, width, channels)`.
        latent_dim: size of the code, one flat vector.
        encoder: layer from images scaled to -1..1, `(batch, height, width, channels)`, to features
            `(batch, n)`.
        decoder: layer from codes `(batch, latent_dim)` to maps `(batch, height, width, m)`.
        posterior_family: `Posterior`, a layer from features to q(z | x).
        prior_family: `Prior`, a layer that holds p(z).
        likelihood_family: `Likelihood`, a layer from maps to p(x | z).
        objective: `Objective`, what training minimises.

    Input: images of whole numbers 0..levels-1, float or uint8, channels last. Scaling happens
    inside.
    Output of a call: a dict of `code` and `scale`, float32 `(batch, latent_dim)`: `center()` and
    `spread()` of the posterior. With a prior that has clusters, also `cluster`, int32, the most
    probable one for the code, and `cluster_probability`, float32: `(batch, rungs)` each.
    Metrics: `loss` and the objective's terms (`elbo`, `reconstruction`, `kl`, ..., nats an image),
    `bits_per_dim`, `code_bits`. Invalid pixels that could not be checked beforehand (for example
    from a generator) make all of them NaN, and the codes of their images; `fit` and `evaluate` then
    log a warning.

    Raises:
        ValueError: for an invalid shape or size, a part of the wrong kind, or parts that do not
            fit together.

    Example:
        >>> import keras, vlae_tf
        >>> from vlae_tf import likelihoods, networks, objectives, posteriors, priors
        >>> small = {"filters": [2, 4], "blocks": 0, "units": 4}
        >>> model = vlae_tf.VAE(
        ...     image_shape=(4, 4, 1),
        ...     latent_dim=2,
        ...     encoder=networks.ResNetEncoder(**small),
        ...     decoder=networks.ResNetDecoder((4, 4, 1), maps=2, **small),
        ...     posterior_family=posteriors.GaussianPosterior(2),
        ...     prior_family=priors.FlowPrior(2, steps=0),
        ...     likelihood_family=likelihoods.BernoulliLikelihood((4, 4, 1)),
        ...     objective=objectives.ELBO(),
        ... )
        >>> model.sample(3, seed=0).shape
        (3, 4, 4, 1)

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, equation 3.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_dim: int,
        encoder,
        decoder,
        posterior_family,
        prior_family,
        likelihood_family,
        objective,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.image_shape = check_image_shape(image_shape)
        self.latent_dim = check_integer(latent_dim, "latent_dim", least=1)
        self.encoder = encoder
        self.decoder = decoder
        self.posterior_family = posterior_family
        self.prior_family = prior_family
        self.likelihood_family = likelihood_family
        self.objective = objective
        check_parts(self)
        names = [*self.objective.terms, "bits_per_dim", "code_bits"]
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}
        # With the shape, which Keras keeps for its own `export`.
        self.build((None, *self.image_shape))

    @classmethod
    def from_preset(
        cls, source: PathLike, load_weights: bool = True, dtype: str | None = None
    ) -> Self:
        """The model of a zoo entry, of a folder, or of a repository of the Hugging Face Hub.

        The files are data: JSON and HDF5. From a stranger's folder, a config makes no object of a
        class other than vlae_tf's, Keras' plain layers, and your own registered ones, and weights
        are compared with the model, by name and shape, before they are read.

        Args:
            source: name of an entry (`vlae_tf.zoo.list()`), path of an entry or of a run, or
                "hf://user/name", which needs the package huggingface_hub.
            load_weights: whether to load the weights; without, they are as before training.
            dtype: policy of the networks, "float32" or "mixed_bfloat16"; that of the config by
                default. What the model keeps in float32 stays so.

        Raises:
            ValueError: for an unknown name, which lists those that there are; a missing or damaged
                file; a class that may not be named; or a model that is no `cls`.

        Example:
            >>> import vlae_tf
            >>> vlae_tf.VLAE.from_preset("mnist_static", load_weights=False).latent_dim
            32
        """
        return read_model(catalogue.locate(source), cls, dtype, load_weights)

    def build(self, input_shape=None):
        build_parts(self)
        self.built = True

    def initialize_from_data(self, images):
        """Data-dependent initialisation, on a batch of images: of the weight-normalised layers, and
        of what prior and likelihood start from codes and images (`Prior.initialize_from_data`,
        `Likelihood.initialize_from_data`).

        Encoder, prior, decoder and likelihood see what they see in training: the batch, and codes
        drawn from its posterior. See `vlae_tf.layers.initialize_from_data`. Call it before
        training, with a hundred images or more.
        """
        images = self.check_images(images)
        initialize_from_data(self, images, run=lambda x: self.objective(x, model=self))
        self.prior_family.initialize_from_data(ops.convert_to_numpy(self(images)["code"]))
        self.likelihood_family.initialize_from_data(images)

    @property
    def levels(self):
        """The number of values of a channel: pixels are whole numbers from 0 to one less."""
        return self.likelihood_family.levels

    @property
    def has_code(self):
        """Whether the decoder reads the code. False for the control (`networks.Unconditional`)."""
        return getattr(self.decoder, "reads_code", True)

    # === The four parts ===

    def posterior(self, images, training=False):
        """q(z | x), a `CodeDistribution`: batch `(batch,)`, event `(latent_dim,)`.

        NaN for an image with pixels that the model does not take.
        """
        scaled = 2.0 * ops.cast(images, self.variable_dtype) / (self.levels - 1) - 1.0
        features = full_precision(self.encoder(scaled, training=training))
        valid = ops.all(self.valid_pixels(images), axis=(1, 2, 3))
        features = ops.where(ops.expand_dims(valid, -1), features, float("nan"))
        parameters = self.posterior_family(features)
        parameters = self.posterior_family.refine(parameters, images, self)
        return self.posterior_family.distribution(parameters)

    def prior(self):
        """p(z), a `CodeDistribution`: batch `()`, event `(latent_dim,)`."""
        return self.prior_family.distribution()

    def likelihood(self, code, training=False):
        """p(x | z), an `ImageDistribution`: batch `(batch,)`, event `image_shape`."""
        maps = self.decoder(code, training=training)
        return self.likelihood_family.distribution(maps, training=training)

    def cluster_log_probs(self, code):
        """log p(k | z_l) of the clusters of each rung, nats: a list of `(batch, components)`.

        That of the prior's `cluster_log_probs`; an empty list for a prior without clusters.
        """
        return getattr(self.prior_family, "cluster_log_probs", lambda code: [])(code)

    # === Keras ===

    def call(self, images, training=False):
        check_batch_shape(images.shape, self.image_shape)
        posterior = self.posterior(images, training)
        code = posterior.center()
        clusters = most_probable_clusters(self.cluster_log_probs(code))
        return {"code": code, "scale": posterior.spread(), **clusters}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if sample_weight is not None:
            refuse_weights("sample_weight", sample_weight)
        valid = self.valid_pixels(x)
        # Invalid pixels make every figure NaN but give no gradient: the weights stay finite.
        spoilt = ops.where(ops.all(valid), 0.0, float("nan"))
        x = ops.where(valid, x, ops.zeros_like(x))
        terms = self.objective(x, model=self, training=training)
        check_names(self.objective, terms)
        dimensions = np.prod(self.image_shape)
        bits = {
            "bits_per_dim": -terms["elbo"] / (dimensions * np.log(2)),
            "code_bits": terms["kl"] / np.log(2),
        }
        for name in self.objective.terms:
            self._trackers[name].update_state(terms[name] + spoilt)
        for name, value in bits.items():
            self._trackers[name].update_state(value + spoilt)
        # Losses that the parts add, such as regularisers.
        loss = sum((full_precision(added) for added in self.losses), start=terms["loss"])
        loss = ops.where(ops.all(valid), loss, float("nan"))
        return own_share(loss, ops.shape(x)[0])

    def get_config(self):
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in PARTS}
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "latent_dim": self.latent_dim,
            **parts,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        check_classes(config, custom_objects)
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in PARTS
        }
        return cls(**{**config, **parts})

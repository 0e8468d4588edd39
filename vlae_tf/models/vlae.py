from collections.abc import Sequence

import keras

from vlae_tf.checks import check_choice, check_image_shape, check_integer, refuse
from vlae_tf.likelihoods import LogisticMixtureLikelihood, PixelCNNLikelihood
from vlae_tf.models.vae import VAE
from vlae_tf.networks import ResNetDecoder, ResNetEncoder
from vlae_tf.objectives import ELBO
from vlae_tf.posteriors import GaussianPosterior
from vlae_tf.priors import FlowPrior

_LIKELIHOODS = {2: PixelCNNLikelihood, 256: LogisticMixtureLikelihood}


def default_levels(image_shape):
    """Levels of images of this shape where nothing else is said: colours are not binary."""
    return 256 if image_shape[-1] == 3 else 2


@keras.saving.register_keras_serializable(package="vlae_tf")
class VLAE(VAE):
    """Variational Lossy Autoencoder: a VAE whose decoder sees a small window of the image.

        log p(x) >= E_q[ log p(x | z) + log p(z) - log q(z | x) ]
        p(x | z) = prod_i p(x_i | z, x_window(i)),        z = f(eps), eps ~ N(0, I)

    What the window shows is left to the decoder, so the code keeps what it does not: the global
    structure. It is a `VAE` with the parts of the paper as defaults; each can be replaced.

    Args:
        image_shape: `(height, width, channels)`.
        latent_dim: size of the code.
        encoder: layer from scaled images to features; `ResNetEncoder` unless given.
        decoder: layer from codes to maps; `ResNetDecoder` unless given.
        posterior_family: `Posterior`; `GaussianPosterior` unless given.
        prior_family: `Prior`; `FlowPrior` with four steps unless given.
        likelihood_family: `Likelihood`; that of the `levels` unless given.
        objective: `Objective`; `ELBO` unless given.
        seed: seed of the default objective's sample of the code; ignored if `objective` is given.
            Initial weights follow `keras.utils.set_random_seed`.
        levels: number of values of a channel, which chooses the likelihood: 2 for binary images
            (`PixelCNNLikelihood`), 256 for greys and colours (`LogisticMixtureLikelihood`). None
            for 2 with one channel and 256 with three.

    Input, output of a call and metrics: those of `VAE`.

    Raises:
        ValueError: for an invalid shape or size, a part of the wrong kind, or parts that do not
            fit together.

    Example:
        >>> import keras, numpy as np, vlae_tf
        >>> from vlae_tf.layers import LocalPixelCNN
        >>> from vlae_tf.likelihoods import LogisticMixtureLikelihood, PixelCNNLikelihood
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> from vlae_tf.priors import FlowPrior
        >>> window = LocalPixelCNN(filters=2, blocks=0, first_kernel_size=3)
        >>> model = vlae_tf.VLAE(
        ...     image_shape=(4, 4, 1),
        ...     latent_dim=2,
        ...     encoder=ResNetEncoder(filters=[2], blocks=0, units=4),
        ...     decoder=ResNetDecoder((4, 4, 1), maps=2, filters=[2], blocks=0, units=4),
        ...     prior_family=FlowPrior(2, steps=1, hidden_units=[4]),
        ...     likelihood_family=PixelCNNLikelihood((4, 4, 1), window),
        ... )
        >>> model.compile(optimizer=keras.optimizers.Adamax(2e-3))
        >>> images = np.zeros((16, 4, 4, 1), "uint8")
        >>> sorted(model.evaluate(images, verbose=0, return_dict=True))
        ['bits_per_dim', 'code_bits', 'elbo', 'kl', 'loss', 'reconstruction']

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equations 11 to 14.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        latent_dim: int = 32,
        encoder=None,
        decoder=None,
        posterior_family=None,
        prior_family=None,
        likelihood_family=None,
        objective=None,
        seed: int = 0,
        levels: int | None = None,
        **kwargs,
    ) -> None:
        image_shape = check_image_shape(image_shape)
        check_integer(latent_dim, "latent_dim", least=1)
        # Networks compute in the model's precision; distributions keep float32.
        policy = {"dtype": keras.dtype_policies.get(kwargs.get("dtype"))}

        if levels is None and likelihood_family is None:
            levels = default_levels(image_shape)
        if likelihood_family is None:
            likelihood_family = _LIKELIHOODS[check_choice(levels, "levels", _LIKELIHOODS)](
                image_shape, **policy
            )
        elif levels not in (None, getattr(likelihood_family, "levels", levels)):
            refuse("levels", f"the likelihood's, {likelihood_family.levels}, or None", levels)

        def given_or(part, default, *args, **options):
            return default(*args, **options) if part is None else part

        super().__init__(
            image_shape,
            latent_dim,
            encoder=given_or(encoder, ResNetEncoder, **policy),
            decoder=given_or(decoder, ResNetDecoder, image_shape, **policy),
            posterior_family=given_or(posterior_family, GaussianPosterior, latent_dim),
            prior_family=given_or(prior_family, FlowPrior, latent_dim),
            likelihood_family=likelihood_family,
            objective=given_or(objective, ELBO, seed=seed),
            **kwargs,
        )
        self.seed = seed

    def get_config(self):
        return {**super().get_config(), "seed": self.seed, "levels": self.levels}

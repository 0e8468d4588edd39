import keras
from keras import ops

from vlae_tf.backend import whole_batch
from vlae_tf.checks import check_choice, check_number, check_numbers
from vlae_tf.objectives.elbo import ELBO


@keras.saving.register_keras_serializable(package="vlae_tf")
class InfoELBO(ELBO):
    """The criterion of InfoVAE: less cost for the code of each image, more for that of all images.

        loss = -E_x[log p(x | z)] + (1 - alpha) E_x[KL(q(z | x) || p(z))] + weight * MMD^2
        MMD^2 = E[k(z, z')] + E[k(y, y')] - 2 E[k(z, y)],    z ~ q(z), y ~ p(z)

    The MMD compares codes drawn for the images of the minibatch, which are draws of q(z), with as
    many draws of the prior; pairs of a code with itself are left out, so its expectation is exact
    whatever the size of the batch, and it is below zero now and then. Known cases:

    | alpha | weight | criterion |
    |---|---|---|
    | 0 | 0 | the ELBO |
    | 1 | 0 | none but reconstruction: a strong decoder then makes the code carry all it can |
    | 1 | above 0 | MMD-VAE |
    | between | 0 | the ELBO with a lighter KL (beta-VAE) |

    Args:
        alpha: share of the KL that is not paid for. 1 leaves none of it.
        weight: nats that an MMD^2 of 1 costs each image.
        kernel: "rbf", exp(-r^2 / (2 d s^2)), or "imq", 2 d s^2 / (2 d s^2 + r^2), for two codes of
            d dimensions at a distance r. Without the d, all codes of a large dimension are equally
            far.
        scales: scales s, over which the kernel is averaged.
        free_bits: nats of the whole code that are free of cost, as in `ELBO`.
        warmup_steps: number of training steps until the KL has its full weight, as in `ELBO`.
        seed: seed of the codes, and of the draws of the prior.

    Call arguments and returns: those of `ELBO`, and `mmd`, the MMD^2 of the batch, a scalar without
    a unit, between -1 and 2. The loss outside training is minus the mean ELBO.

    Raises:
        ValueError: for an alpha outside 0..1, a negative weight, an unknown kernel, or scales that
            are not positive.

    Example:
        >>> from vlae_tf.objectives import InfoELBO
        >>> InfoELBO(alpha=1.0, weight=1000.0).terms["mmd"]
        ''

    Reference:
        Zhao et al., "InfoVAE: Balancing Learning and Inference in Variational Autoencoders", AAAI
        2019, equation 6; Gretton et al., "A Kernel Two-Sample Test", JMLR 2012, equation 3.
    """

    terms = {**ELBO.terms, "mmd": ""}

    def __init__(
        self,
        alpha=1.0,
        weight=1000.0,
        kernel="rbf",
        scales=(0.5, 1.0, 2.0),
        free_bits=0.0,
        warmup_steps=0,
        seed=0,
        **kwargs,
    ):
        super().__init__(free_bits=free_bits, warmup_steps=warmup_steps, seed=seed, **kwargs)
        self.alpha = check_number(alpha, "alpha", least=0, most=1)
        self.weight = check_number(weight, "weight", least=0)
        self.kernel = check_choice(kernel, "kernel", _KERNELS)
        self.scales = check_numbers(scales, "scales", above=0)

    def compute_output_spec(self, images, model, training=False):
        mmd = keras.KerasTensor((), dtype="float32")
        return {**super().compute_output_spec(images, model, training), "mmd": mmd}

    def batch_terms(self, posterior, code, prior):
        code = whole_batch(code, axis=1)
        noise = keras.random.normal(ops.shape(code), dtype="float32", seed=self.seed_generator)
        mmd = squared_mmd(code, prior.from_noise(noise), self.kernel, self.scales)
        return self.weight * mmd, {"mmd": mmd}

    def kl_weight(self):
        return (1.0 - self.alpha) * super().kl_weight()


def squared_mmd(codes, draws, kernel="rbf", scales=(1.0,)):
    """Unbiased estimate of the squared maximum mean discrepancy of two sets of codes.

    Args:
        codes, draws: the two sets, `(..., n, d)` each; of several sets the estimates are averaged.
        kernel: "rbf" or "imq", see `InfoELBO`.
        scales: scales over which the kernel is averaged.

    Returns:
        A scalar; 0 for sets of one code.
    """
    count, size = ops.shape(codes)[-2], codes.shape[-1]
    apart = 1.0 - ops.eye(count, dtype=codes.dtype)
    pairs = ops.cast(ops.maximum(count * (count - 1), 1), codes.dtype)

    def mean(a, b):
        # Both of a pair move by the same amount, so that large means do not cancel.
        center = ops.mean(b, axis=-2, keepdims=True)
        a, b = a - center, b - center
        products = ops.matmul(a, ops.swapaxes(b, -1, -2))
        squares = [ops.sum(ops.square(x), axis=-1) for x in (a, b)]
        distance = ops.maximum(
            squares[0][..., :, None] + squares[1][..., None, :] - 2 * products, 0
        )
        widths = [2.0 * size * scale**2 for scale in scales]
        values = sum(_KERNELS[kernel](distance / width) for width in widths) / len(widths)
        return ops.mean(ops.sum(apart * values, axis=(-1, -2)) / pairs)

    return mean(codes, codes) + mean(draws, draws) - 2.0 * mean(codes, draws)


_KERNELS = {
    "rbf": lambda distance: ops.exp(-distance),
    "imq": lambda distance: 1.0 / (1.0 + distance),
}

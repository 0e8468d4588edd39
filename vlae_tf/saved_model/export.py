import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vlae_tf.backend import check_tensorflow
from vlae_tf.checks import (
    check_images,
    check_integer,
    check_integers,
    check_single,
    refuse,
)
from vlae_tf.files import PathLike
from vlae_tf.saved_model.version import write_version
from vlae_tf.saved_model.warmup import write_warmup

# What the signatures use of a model.
_USED = (
    "image_shape",
    "latent_dim",
    "levels",
    "posterior",
    "prior",
    "likelihood",
    "decode_rows",
    "sample_rows",
)


def export(
    model: Any,
    filepath: PathLike,
    version: int | None = None,
    importance_samples: int = 16,
    xla: bool = False,
    png: bool = False,
    warmup_images: ArrayLike | None = None,
    batch_sizes: Sequence[int] = (1, 4, 16, 64),
) -> pathlib.Path:
    """Write a model as a TensorFlow SavedModel that needs neither vlae_tf nor Keras to run.

        encode       image -> code, scale, code_bits            (also the default signature);
                     cluster, cluster_probability               (where the prior has clusters)
        decode       code, seed -> image
        reconstruct  image, seed -> image, code_bits
        sample       seed, temperature (1 if left out) -> image, code
        log_prob     image, seed -> log_prob, bits_per_dim, elbo
        about        seed -> levels, image_shape, latent_dim, importance_samples, weights;
                     clusters                                   (where the prior has clusters)

    Each takes named inputs and gives a dict, batch first; `Signatures` has the shapes and units. A
    row's answer is a function of that row alone, so a server may batch requests and replicas agree.

    Only the weights that the signatures read are written: no optimizer, no random state. The
    version's folder appears in one move when it is whole; after a failure nothing is left of it.

    Args:
        model: a `VAE`, or another object with its distributions, sizes and `decode_rows` and
            `sample_rows`, on the TensorFlow backend. Its dtype policy is kept. In mixed precision
            a few pixels in a thousand differ from Python's, since a graph rounds elsewhere.
        filepath: folder of the model, which holds one folder for each version.
        version: a positive integer; one more than the highest there is unless given.
        importance_samples: number of codes that the signature `log_prob` averages over.
        xla: whether XLA compiles the signatures: for GPUs. Each new number of rows is compiled
            on its own, so let the server batch to `batch_sizes` and warm up.
        png: whether to add `encode_png` and the like, with pictures as bytes (`PNGSignatures`).
        warmup_images: real images, for requests of each signature and batch size that TensorFlow
            Serving answers before all others; None for no such requests.
        batch_sizes: batch sizes of these requests.

    Returns:
        The `pathlib.Path` of the version's folder.

    Raises:
        ValueError: for an invalid argument, or another backend.
        FileExistsError: if the version is there already: a version is never overwritten.
        OSError: if the folder cannot be written to, or the disk is full.

    Example:
        >>> import numpy as np, tensorflow as tf, vlae_tf
        >>> from vlae_tf import likelihoods, networks, priors
        >>> small = {"filters": [2, 4], "blocks": 0, "units": 4}
        >>> model = vlae_tf.VLAE(
        ...     image_shape=(4, 4, 1),
        ...     latent_dim=2,
        ...     encoder=networks.ResNetEncoder(**small),
        ...     decoder=networks.ResNetDecoder((4, 4, 1), maps=2, **small),
        ...     prior_family=priors.FlowPrior(2, steps=0),
        ...     likelihood_family=likelihoods.BernoulliLikelihood((4, 4, 1)),
        ... )
        >>> path = vlae_tf.saved_model.export(model, "served/tiny")
        >>> path.as_posix()
        'served/tiny/1'
        >>> served = tf.saved_model.load(path)
        >>> images = np.zeros((2, 4, 4, 1), "uint8")
        >>> seeds = np.array([0, 1], "int32")
        >>> answer = served.signatures["reconstruct"](image=images, seed=seeds)
        >>> answer["image"].dtype.name, tuple(answer["image"].shape)
        ('uint8', (2, 4, 4, 1))

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equation 11; for `log_prob`, Burda
        et al., "Importance Weighted Autoencoders", 2016, equation 8.
    """
    check_tensorflow("export")
    if missing := [name for name in _USED if not hasattr(model, name)]:
        received = f"model={model!r}, without {', '.join(missing)}"
        refuse("model", "a `vlae_tf.VAE`, or have its methods and sizes", model, received)
    check_single(model, "exported")
    check_integer(importance_samples, "importance_samples", least=1)
    check_integers(batch_sizes, "batch_sizes", least=1)
    if warmup_images is not None:
        check_images(warmup_images, model.image_shape, model.levels)
        warmup_images = np.asarray(warmup_images, "uint8")

    def write(path):
        import tensorflow as tf

        from vlae_tf.saved_model.signatures import Signatures, with_default_temperature

        functions, signatures = Signatures(model, importance_samples).functions(xla, png)
        # A bare module with the variables that are read: the model itself would bring its
        # optimizer, its metrics and its random states along.
        module = tf.Module()
        read = {v.ref(): v for function in signatures.values() for v in function.variables}
        module.weights = list(read.values())
        # The names by which Google's inference converter finds what is to run on a TPU.
        aliases = {f"{name}_tpu": function for name, function in functions.items()}
        options = tf.saved_model.SaveOptions(function_aliases=aliases)
        saved = signatures | {"serving_default": signatures["encode"]}
        for name in {"sample", "sample_png"} & set(saved):
            saved[name] = with_default_temperature(saved[name])
        tf.saved_model.save(module, path, signatures=saved, options=options)
        if warmup_images is not None:
            write_warmup(path, signatures, warmup_images, batch_sizes)

    return write_version(pathlib.Path(filepath), version, write)

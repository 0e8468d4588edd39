import pathlib

from vlae_tf.backend import BACKEND
from vlae_tf.saved_model.version import check_version, publish
from vlae_tf.saved_model.warmup import write_warmup


def export(
    model,
    filepath,
    version=None,
    importance_samples=16,
    xla=False,
    png=False,
    warmup_images=None,
    batch_sizes=(1, 4, 16, 64),
):
    """Write a model as a TensorFlow SavedModel that needs neither vlae_tf nor Keras to run.

        encode       image -> code, scale, code_bits            (also the default signature)
        decode       code, seed -> image
        reconstruct  image, seed -> image, code_bits
        sample       seed, temperature -> image, code
        log_prob     image, seed -> log_prob, bits_per_dim, elbo

    Each takes named inputs and gives a dict, batch first; `Signatures` has the shapes and units. A
    row's answer is a function of that row alone, so a server may batch requests and replicas agree.

    Only the weights that the signatures read are written: no optimizer, no random state. The
    version's folder appears in one move when it is whole; after a failure nothing is left of it.

    Args:
        model: a `VLAE`, on the TensorFlow backend. Its dtype policy is kept. In mixed precision a
            graph's optimisation moves roundings: a few pixels in a thousand differ from Python's.
        filepath: folder of the model, which holds one folder for each version.
        version: a positive integer; one more than the highest there is unless given.
        importance_samples: number of codes that `log_prob` averages over, fixed from now on.
        xla: whether XLA compiles the signatures: for GPUs. Each number of rows that comes is
            compiled on its own, so let the server batch to `batch_sizes` and warm up.
        png: also write `encode_png` and the like, with pictures as bytes (`PNGSignatures`).
        warmup_images: real images, from which requests are made for each signature and batch size
            that TensorFlow Serving answers before it takes others; None for no such requests.
        batch_sizes: those of the requests.

    Returns:
        The `pathlib.Path` of the version's folder.

    Raises:
        ValueError: for an argument that cannot be, or another backend.
        FileExistsError: if the version is there already: a version is never overwritten.
        OSError: if the folder cannot be written to, or the disk is full.

    Example:
        >>> import numpy as np, tensorflow as tf, vlae_tf
        >>> from vlae_tf.networks import ResNetDecoder, ResNetEncoder
        >>> model = vlae_tf.VLAE(
        ...     image_shape=(8, 8, 1),
        ...     latent_dim=4,
        ...     encoder=ResNetEncoder(filters=[4], blocks=1, units=16),
        ...     decoder=ResNetDecoder((8, 8, 1), maps=4, filters=[4], blocks=1, units=16),
        ... )
        >>> path = vlae_tf.saved_model.export(model, "served/tiny")
        >>> path.as_posix()
        'served/tiny/1'
        >>> served = tf.saved_model.load(path)
        >>> images = np.zeros((2, 8, 8, 1), "uint8")
        >>> seeds = np.array([0, 1], "int32")
        >>> answer = served.signatures["reconstruct"](image=images, seed=seeds)
        >>> answer["image"].dtype.name, tuple(answer["image"].shape)
        ('uint8', (2, 8, 8, 1))

    Reference:
        Chen et al., "Variational Lossy Autoencoder", ICLR 2017, equation 11; for `log_prob`, Burda
        et al., "Importance Weighted Autoencoders", 2016, equation 8.
    """
    if BACKEND != "tensorflow":
        raise ValueError(
            "`export` writes a TensorFlow SavedModel, which needs Keras' TensorFlow backend: save "
            "the weights here, and load and export them there. Received: "
            f"KERAS_BACKEND={BACKEND!r}"
        )
    if not hasattr(model, "likelihood"):
        raise ValueError(f"`model` must be a `VAE`. Received: model={model!r}")
    if type(importance_samples) is not int or importance_samples < 1:
        raise ValueError(
            "`importance_samples` must be a positive integer. "
            f"Received: importance_samples={importance_samples!r}"
        )
    if warmup_images is not None:
        warmup_images = model.check_images(warmup_images).astype("uint8")
        if not batch_sizes or any(type(size) is not int or size < 1 for size in batch_sizes):
            raise ValueError(
                "`batch_sizes` must be positive integers, at least one. "
                f"Received: batch_sizes={batch_sizes!r}"
            )
    folder = pathlib.Path(filepath)
    check_version(folder, version)

    import tensorflow as tf

    from vlae_tf.saved_model.signatures import Signatures

    functions, signatures = Signatures(model, importance_samples).functions(xla, png)
    # A bare module with the variables that are read: the model itself would bring its optimizer,
    # its metrics and its random states along.
    module = tf.Module()
    read = {v.ref(): v for function in signatures.values() for v in function.variables}
    module.weights = list(read.values())
    # The names by which Google's inference converter finds what is to run on a TPU.
    aliases = {f"{name}_tpu": function for name, function in functions.items()}
    options = tf.saved_model.SaveOptions(function_aliases=aliases)

    def write(path):
        default = {"serving_default": signatures["encode"]}
        tf.saved_model.save(module, path, signatures=signatures | default, options=options)
        if warmup_images is not None:
            write_warmup(path, signatures, warmup_images, batch_sizes)

    return publish(folder, version, write)

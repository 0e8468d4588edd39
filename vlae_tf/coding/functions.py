"""Images to bytes and back, in one call."""

import io

import numpy as np
from numpy.typing import ArrayLike

from vlae_tf.checks import refuse
from vlae_tf.coding.coder import Coder
from vlae_tf.coding.container import ContainerWriter
from vlae_tf.coding.image_reader import ImageReader
from vlae_tf.coding.image_writer import write_blocks
from vlae_tf.files import PathLike


def compress(images: ArrayLike, entry: PathLike | Coder, **options: object) -> bytes:
    """Images as the bytes of a `.vlae` file.

        bits = k - log2 p(x | z_j) + overhead

    Args:
        images: images as the entry's model takes them, `(n, height, width, channels)`.
        entry: name or folder of an entry, or a `Coder`, which is used as it is.
        **options: the other arguments of `Coder`, where `entry` is none.

    Raises:
        ValueError: for an unknown entry or invalid images.
        ImportError: without the package constriction: pip install 'vlae_tf[coding]'.

    Example:
        >>> import vlae_tf
        >>> from vlae_tf import coding
        >>> images = vlae_tf.zoo.examples("mnist_ladder")[:2]
        >>> data = coding.compress(images, "mnist_ladder", codebook_bits=4, candidates=2)
        >>> bool((coding.decompress(data) == images).all())
        True
    """
    if isinstance(entry, Coder) and options:
        refuse("options", "left out with a `Coder`, which has its own", None, ", ".join(options))
    coder = entry if isinstance(entry, Coder) else Coder(entry, **options)
    images = coder.checked(images)
    file = io.BytesIO()
    container = ContainerWriter(file, coder.header)
    size = coder.header.block_size
    write_blocks(container, coder, [images[i : i + size] for i in range(0, len(images), size)])
    container.finish()
    return file.getvalue()


def decompress(
    data: bytes, entry: PathLike | Coder | None = None, batch_size: int = 128
) -> np.ndarray:
    """The images of a `.vlae` file's bytes, uint8 `(n, height, width, channels)`.

    Args:
        data: the bytes.
        entry: name or folder of the entry, or a `Coder` of it; by default the zoo's entry whose
            name is in the file.
        batch_size: number of images that are decoded at once.

    Raises:
        ValueError: says what is wrong with the bytes.

    Example:
        >>> from vlae_tf import coding
        >>> coding.decompress(b"PNG")
        Traceback (most recent call last):
        ValueError: the bytes cannot be read as a .vlae file: it does not begin as a .vlae file
    """
    with ImageReader(data, entry, batch_size) as reader:
        blank = np.zeros((0, *reader.header.image_shape), "uint8")
        return np.concatenate([blank, *reader.batches()])

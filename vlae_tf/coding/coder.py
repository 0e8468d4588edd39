import concurrent.futures
import contextlib
import functools
import os
import zlib

import keras
import numpy as np

from vlae_tf import catalogue
from vlae_tf.backend import BACKEND, double_precision
from vlae_tf.checks import check_choice, check_flag, check_images, check_integer, refuse
from vlae_tf.coding.bits_back import BitsBack
from vlae_tf.coding.header import LARGEST_BLOCK, LARGEST_BOOK, METHODS, Header
from vlae_tf.coding.image_coder import ImageCoder
from vlae_tf.coding.short_code import ShortCode
from vlae_tf.files import sha256
from vlae_tf.models import VAE
from vlae_tf.models.folder import read_model

_BLOCK = {"codebook": 128, "bits-back": 1024, "lossy": 1024}


class Coder:
    """An entry as a code for images: what turns blocks of images into bytes and back.

    All that decides the bits is computed in float64 on the CPU, rounded to grids, and then in whole
    numbers, so that a file can be read on another path of computation than that it was written on.

    Args:
        entry: name of an entry of the zoo, the folder of an entry or a run, or another `Coder`,
            whose model is then used.
        method: "codebook", "bits-back", "lossy" (the code alone), or None: bits-back for colours if
            the entry's posterior and prior allow it, else a codebook.
        codebook_bits: k, the logarithm of the number of codes in the book: 14 gave the shortest
            files of validation images of mnist_static, of 8, 10, 12, 14 and 16. More than 16, up
            to 32, need a flow as prior.
        seed: seed of the book.
        block_size: number of images of a block, which are coded and read together; by default that
            of the method.
        candidates: number of codes that are tried for each image: on validation images of
            mnist_static 1, 4, 8 and 16 gave 0.1524, 0.1511, 0.1509 and 0.1509 bits/dim.
        verify: whether each block is decoded before it is written.

    Attributes:
        workers: number of blocks that are coded side by side, each in a thread: that of the
            processors, up to 8. On JAX 1: there the callbacks of a decoder have an order.

    Raises:
        ValueError: for an unknown entry or method, or a model that cannot be coded with.
        ImportError: without the package constriction: pip install 'vlae_tf[coding]'.

    Example:
        >>> import vlae_tf
        >>> from vlae_tf.coding import Coder
        >>> coder = Coder("mnist_ladder", codebook_bits=4, candidates=2)
        >>> images = vlae_tf.zoo.examples("mnist_ladder")[:2]
        >>> block = coder.encode(images)
        >>> bool((coder.decode([block], [2]) == images).all())
        True
    """

    workers = min(os.cpu_count() or 1, 8) if BACKEND == "tensorflow" else 1

    def __init__(
        self,
        entry,
        method=None,
        codebook_bits=14,
        seed=0,
        block_size=None,
        candidates=8,
        verify=True,
    ):
        self._entry = _Entry.of(entry)
        model = self._entry.double
        method = self._entry.method if method is None else check_choice(method, "method", METHODS)
        codebook_bits = check_integer(
            codebook_bits, "codebook_bits", least=0, below=LARGEST_BOOK + 1
        )
        block_size = _BLOCK[method] if block_size is None else block_size
        block_size = check_integer(block_size, "block_size", least=1, below=LARGEST_BLOCK + 1)
        seed = check_integer(seed, "seed", least=0, below=1 << 64)
        candidates = check_integer(candidates, "candidates", least=1)
        self.verify = check_flag(verify, "verify")
        self.header = Header(
            self._entry.name,
            self._entry.weights,
            model.image_shape,
            model.levels,
            method,
            0 if method == "bits-back" else codebook_bits,
            seed,
            block_size,
        )
        with exactly():
            self._blocks = (
                BitsBack(self._entry.images)
                if method == "bits-back"
                else ShortCode(
                    self._entry.images,
                    lambda: self._entry.single,
                    codebook_bits,
                    seed,
                    candidates,
                    lossy=method == "lossy",
                )
            )

    @classmethod
    def of_header(cls, header, entry=None):
        """What reads the files that begin with `header`.

        Args:
            header: `Header`.
            entry: name or folder of the entry; by default the zoo's entry of the header's name.

        Raises:
            ValueError: if there is no such entry, or it has other weights or images.
        """
        if entry is None:
            entry = header.entry
            if entry not in catalogue.entries():
                raise ValueError(
                    f"it was made with the entry {entry!r}, which is not in the zoo; `entry` may "
                    "name the folder of it"
                )
        entry = _Entry.of(entry)
        if entry.weights != header.weights:
            raise ValueError(
                f"it was made with weights of sha256 {header.weights}, and the entry "
                f"{entry.name!r} has {entry.weights}"
            )
        mine = (entry.double.image_shape, entry.double.levels)
        if mine != (header.image_shape, header.levels):
            raise ValueError(
                f"it holds images of shape {header.image_shape} and {header.levels} levels, and "
                f"the entry {entry.name!r} has {mine[0]} and {mine[1]}"
            )
        return cls(entry, header.method, header.codebook_bits, header.seed, header.block_size)

    def checked(self, images):
        """`images` as uint8, or a `ValueError` that says what is wrong with them."""
        check_images(images, self.header.image_shape, self.header.levels)
        return np.asarray(images).astype("uint8")

    def encode(self, images):
        """The bytes of a block of images.

        Raises:
            ValueError: for invalid images.
            RuntimeError: if the bytes do not decode to the images on this machine.
        """
        return self.encode_blocks([images])[0]

    def encode_blocks(self, blocks):
        """The bytes of each of a list of blocks, which are coded side by side: see `encode`."""
        return self._side_by_side(self._encode, [self.checked(images) for images in blocks])

    def _encode(self, images):
        with exactly():
            payload = self._blocks.encode(images)
        if self.verify and self.header.method != "lossy":
            if pixels_crc(self.decode([payload], [len(images)])) != pixels_crc(images):
                raise RuntimeError(
                    "A block does not decode to its images: two passes of the model differ by more "
                    f"than the format allows for. Received: {len(images)} images"
                )
        return payload

    def decode(self, payloads, counts):
        """The images of blocks, uint8 `(n, height, width, channels)`: not yet compared with a CRC.

        Some are decoded together, and some side by side.

        Args:
            payloads: bytes of each block.
            counts: number of images of each block.

        Raises:
            ValueError: for bytes that are no block of this coder's.
        """
        if len(payloads) != len(counts) or not len(counts):
            received = f"{len(payloads)} payloads and {len(counts)} counts"
            refuse("counts", "one for each payload, of which there is one at least", None, received)
        shares = np.array_split(np.arange(len(payloads)), min(self.workers, len(payloads)))
        parts = [([payloads[i] for i in share], [counts[i] for i in share]) for share in shares]
        return np.concatenate(self._side_by_side(self._decode, parts))

    def _decode(self, part):
        with exactly():
            try:
                return self._blocks.decode(*part)
            # What the coder says of words that it did not write.
            except AssertionError as error:
                raise ValueError(f"a block does not decode: {error}") from error

    def _side_by_side(self, function, items):
        """The function of each item, in threads; if there is one alone, in this one."""
        if len(items) == 1:
            return [function(items[0])]
        with concurrent.futures.ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(function, items))


class _Entry:
    """The model of an entry in float64 and, for choices that need not be exact, in float32."""

    def __init__(self, source):
        self._folder = catalogue.locate(source, "entry")
        # An entry keeps its name also where its folder is a link.
        known = {folder: name for name, folder in catalogue.entries().items()}
        self.name = known.get(self._folder, self._folder.resolve().name)
        self.weights = sha256(self._folder / "model.weights.h5")

    @classmethod
    def of(cls, source):
        """That of a name or folder, of a `Coder`, or itself."""
        if isinstance(source, Coder):
            return source._entry
        return source if isinstance(source, cls) else cls(source)

    @functools.cached_property
    def double(self):
        with exactly():
            return read_model(self._folder, VAE, "float64")

    @property
    def method(self):
        """The method that suits the model: bits-back where the code is long."""
        if self.double.levels == 2:
            return "codebook"
        with exactly():
            return "bits-back" if BitsBack.suits(self.double) else "codebook"

    @functools.cached_property
    def images(self):
        # One for all coders: it is compiled into the model's functions.
        return ImageCoder(self.double)

    @functools.cached_property
    def single(self):
        return read_model(self._folder, VAE, "float32")


def pixels_crc(images):
    """The CRC32 of the pixels of images."""
    return zlib.crc32(np.ascontiguousarray(images, "uint8").tobytes())


@contextlib.contextmanager
def exactly():
    """A context in which float64 is what it says, on the CPU."""
    with double_precision(), keras.device("cpu:0"):
        yield

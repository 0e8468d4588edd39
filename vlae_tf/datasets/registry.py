"""The data sets that can be loaded by name, and what is known about each."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vlae_tf.checks import check_choice

SPLITS = ("train", "validation", "test", "train+validation")


@dataclass(frozen=True)
class DatasetInfo:
    """What one named data set is.

    Args:
        name: the name given to `load` and `load_arrays`.
        tfds_name: the TFDS builder it is read from.
        image_shape: `(height, width, channels)`.
        binarisation: "static" (pixels are {0, 1}), "dynamic" (pixels are intensities 0..255, to be
            drawn afresh as Bernoulli(intensity / 255)) or "none" (colours 0..255).
        sizes: published number of images of "train", "validation" and "test".
        splits: the TFDS expression of each split; empty where `load_arrays` makes the split itself.
        source: where the data come from, and what is particular about this version of them.
        licence: the terms its makers state.
    """

    name: str
    tfds_name: str
    image_shape: tuple[int, int, int]
    binarisation: str
    sizes: Mapping[str, int]
    splits: Mapping[str, str]
    source: str
    licence: str


def _entry(name, tfds_name, image_shape, binarisation, sizes, splits, source, licence):
    sizes = dict(zip(SPLITS, sizes, strict=False))
    splits = dict(zip(SPLITS, splits, strict=False))
    return DatasetInfo(name, tfds_name, image_shape, binarisation, sizes, splits, source, licence)


def _last_of_train(n):
    """Validation is the last n training images, so that it can never touch test."""
    return f"train[:-{n}]", f"train[-{n}:]", "test", "train"


DATASETS = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            _entry(
                "mnist_static",
                "binarized_mnist",
                (28, 28, 1),
                "static",
                (50_000, 10_000, 10_000),
                ("train", "validation", "test", "train+validation"),
                "MNIST binarised once by Larochelle and Murray (2011); never to be compared with "
                "mnist_dynamic.",
                "CC BY-SA 3.0 (MNIST)",
            ),
            _entry(
                "mnist_dynamic",
                "mnist",
                (28, 28, 1),
                "dynamic",
                (50_000, 10_000, 10_000),
                _last_of_train(10_000),
                "MNIST intensities (LeCun et al. 1998), drawn as Bernoulli pixels afresh in every "
                "epoch (Salakhutdinov and Murray 2008).",
                "CC BY-SA 3.0",
            ),
            _entry(
                "omniglot",
                "omniglot",
                (28, 28, 1),
                "dynamic",
                (23_000, 1_345, 8_070),
                (),
                "Omniglot (Lake et al. 2015), strokes white, 105x105 shrunk to 28x28 by area, all "
                "32,460 images split at random in the sizes of Burda et al. (2015): 24,345 train "
                "(the last 1,345 of them validation), 8,070 test, 45 unused. Close to the "
                "chardata.mat of the papers but not the same pixels nor the same split: say so "
                "beside a published figure.",
                "MIT",
            ),
            _entry(
                "caltech101_silhouettes",
                "caltech101_silhouettes",
                (28, 28, 1),
                "static",
                (4_100, 2_264, 2_307),
                ("train", "validation", "test", "train+validation"),
                "Caltech-101 Silhouettes, 28x28, split 1 (Marlin et al. 2010). The object is 1 and "
                "the background 0, which is the inverse of the original file.",
                "none stated; silhouettes of Caltech-101 (CC BY 4.0)",
            ),
            _entry(
                "fashion_mnist",
                "fashion_mnist",
                (28, 28, 1),
                "dynamic",
                (50_000, 10_000, 10_000),
                _last_of_train(10_000),
                "Fashion-MNIST intensities (Xiao et al. 2017), drawn as Bernoulli pixels afresh in "
                "every epoch.",
                "MIT",
            ),
            _entry(
                "cifar10",
                "cifar10",
                (32, 32, 3),
                "none",
                (45_000, 5_000, 10_000),
                _last_of_train(5_000),
                "CIFAR-10 (Krizhevsky 2009), uint8 colours 0..255.",
                "none stated; free for research with citation",
            ),
        )
    }
)


def info(name: str) -> DatasetInfo:
    """What is known about the data set `name`.

    Example:
        >>> info("mnist_dynamic").binarisation
        'dynamic'

    Raises:
        ValueError: `name` is not one of `DATASETS`; the message lists those known.
    """
    return DATASETS[check_choice(name, "name", DATASETS)]

"""A TFDS builder for Caltech-101 Silhouettes, which TFDS lacks."""

import scipy.io
import tensorflow_datasets as tfds

FILENAME = "caltech101_silhouettes_28_split1.mat"
URL = f"https://people.cs.umass.edu/~marlin/data/{FILENAME}"


class Caltech101Silhouettes(tfds.core.GeneratorBasedBuilder):
    """Outlines of the main object of each Caltech-101 picture, filled in, as 28x28 binary images.

    `image` is uint8 (28, 28, 1) and upright. Polarity: a pixel of the object is 1 and of the
    background 0; the original file has it the other way round, and published densities do not
    agree on it. `label` is 0..100, the file's label less one. 4,100 train, 2,264 validation and
    2,307 test images: split 1 of the authors.

    The file is taken from TFDS' `manual_dir` when it lies there, otherwise from its URL; either
    way TFDS checks its sha256.

    Example:
        >>> builder = Caltech101Silhouettes(data_dir="~/tensorflow_datasets")
        >>> builder.info.features["image"].shape
        (28, 28, 1)

    Reference: Marlin, Swersky, Chen and de Freitas, "Inductive principles for restricted Boltzmann
        machine learning", AISTATS 2010.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Split 1 at 28x28, object 1 and background 0."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Without a network, put {FILENAME} (from {URL}) in the folder `downloads/manual` of the "
        "TFDS directory, or give its folder as --manual-dir to that command."
    )
    # TFDS would read these from a checksums.tsv beside the module.
    url_infos = {
        URL: tfds.download.checksums.UrlInfo(
            size=872_124,
            checksum="eb6735e8d84b1850fabc5590124aab1755e90c9fd28123585324398405e1e42a",
            filename=FILENAME,
        )
    }

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Caltech-101 Silhouettes, 28x28, split 1; object 1, background 0.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1)),
                    "label": tfds.features.ClassLabel(num_classes=101),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://people.cs.umass.edu/~marlin/data.shtml",
            citation=(
                "@inproceedings{marlin2010inductive, title={Inductive principles for restricted "
                "Boltzmann machine learning}, author={Marlin, Benjamin and Swersky, Kevin and "
                "Chen, Bo and de Freitas, Nando}, booktitle={AISTATS}, year={2010}}"
            ),
        )

    def _split_generators(self, dl_manager):
        path = dl_manager.download(URL)
        return {
            "train": self._generate_examples(path, "train"),
            "validation": self._generate_examples(path, "val"),
            "test": self._generate_examples(path, "test"),
        }

    def _generate_examples(self, path, part):
        file = scipy.io.loadmat(path)
        # Rows are column-major pictures: the transpose turns them upright.
        images = file[f"{part}_data"].reshape(-1, 28, 28).transpose(0, 2, 1)[..., None]
        labels = file[f"{part}_labels"].ravel()
        for i, (image, label) in enumerate(zip(1 - images, labels, strict=True)):
            yield i, {"image": image, "label": int(label) - 1}

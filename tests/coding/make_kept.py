"""Makes the files in tests/coding/kept, which later versions must still read: python -m
tests.coding.make_kept. Only a new version of the format may change them."""

import pathlib
import shutil

import keras
import numpy as np

from tests.coding.models import SYSTEMS, write_entry
from tests.tiny import random_images
from vlae_tf.coding import Coder, ImageWriter

KEPT = pathlib.Path(__file__).with_name("kept")
# Of each file: method and bits of the book.
FILES = {
    "codebook": ("codebook", 6),
    "codebook-20": ("codebook", 20),
    "bits-back": ("bits-back", 6),
    "lossy": ("lossy", 6),
}


def main():
    for name in ("binary", "colours"):
        keras.utils.set_random_seed(1)
        model = SYSTEMS[name]()
        shutil.rmtree(KEPT / name, ignore_errors=True)
        entry = write_entry(model, KEPT / name)
        images = random_images(20, model.image_shape, model.levels, seed=3)
        np.save(entry / "images.npy", images)
        for file, (method, bits) in FILES.items():
            coder = Coder(entry, method, codebook_bits=bits, block_size=8, candidates=16)
            with ImageWriter(entry / f"{file}.vlae", coder) as writer:
                writer.write(images)


if __name__ == "__main__":
    main()

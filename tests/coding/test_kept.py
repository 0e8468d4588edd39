"""Files of the format's first version, written with TensorFlow: both backends read them."""

import numpy as np
import pytest

from tests.coding.make_kept import KEPT, METHODS
from vlae_tf.coding import Coder, ImageReader, decompress

pytest.importorskip("constriction")
pytestmark = [pytest.mark.jax, pytest.mark.usefixtures("eager")]


@pytest.mark.parametrize("name", ["binary", "colours"])
def test_kept_files_are_read_and_written_as_ever(name):
    entry = Coder(KEPT / name)
    images = np.load(KEPT / name / "images.npy")
    for method in METHODS:
        kept = (KEPT / name / f"{method}.vlae").read_bytes()
        decoded = decompress(kept, entry)
        assert decoded.shape == images.shape and decoded.dtype == "uint8"
        if method != "lossy":
            np.testing.assert_array_equal(decoded, images)
        again = Coder(entry, method, codebook_bits=6, block_size=8, verify=False)
        assert ImageReader(kept, entry)._container.read(0) == again.encode(images[:8])

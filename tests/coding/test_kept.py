"""Files of the format's first version, written with TensorFlow: both backends read them."""

import keras
import numpy as np
import pytest

from tests.coding.make_kept import FILES, KEPT
from tests.tiny import run_python
from vlae_tf.coding import Coder, ImageReader, decompress

pytest.importorskip("constriction")
pytestmark = [pytest.mark.jax, pytest.mark.usefixtures("eager")]


@pytest.mark.parametrize("name", ["binary", "colours"])
def test_kept_files_are_read_and_written_as_ever(name):
    entry = Coder(KEPT / name)
    images = np.load(KEPT / name / "images.npy")
    for file, (method, bits) in FILES.items():
        kept = (KEPT / name / f"{file}.vlae").read_bytes()
        decoded = decompress(kept, entry)
        assert decoded.shape == images.shape and decoded.dtype == "uint8"
        if method != "lossy":
            np.testing.assert_array_equal(decoded, images)
        again = Coder(entry, method, codebook_bits=bits, block_size=8, candidates=16, verify=False)
        assert ImageReader(kept, entry)._container.read(0) == again.encode(images[:8])


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="a path of TensorFlow")
def test_another_path_of_computation_reads_them():
    code = """
import sys, numpy as np
from vlae_tf.coding import Coder, ImageReader
for folder in sys.argv[1:]:
    images, coder = np.load(folder + "/images.npy"), Coder(folder)
    for file in ("codebook", "codebook-20", "bits-back"):
        with ImageReader(f"{folder}/{file}.vlae", coder, batch_size=1) as reader:
            assert (np.concatenate(list(reader.batches())) == images).all()
print("read")
"""
    folders = [KEPT / "binary", KEPT / "colours"]
    environment = {
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    }
    assert run_python(code, *folders, **environment).split() == ["read"]

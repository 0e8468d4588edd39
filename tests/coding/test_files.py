"""Files of other versions, damaged files and strangers' files."""

import io
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest

from tests.coding.make_kept import KEPT
from tests.test_mutated_files import mutated
from vlae_tf import catalogue
from vlae_tf.coding import Coder, ImageReader, ImageWriter, compress, decompress, image_coder
from vlae_tf.coding.codebook import Codebook
from vlae_tf.coding.container import ContainerWriter
from vlae_tf.coding.header import Header

pytest.importorskip("constriction")
pytestmark = pytest.mark.usefixtures("eager")

MUTANTS = 10_000


@pytest.fixture(scope="module")
def coder():
    return Coder(KEPT / "binary", codebook_bits=6, block_size=8, candidates=16)


@pytest.fixture
def images():
    return np.load(KEPT / "binary" / "images.npy")


@pytest.fixture
def data():
    return (KEPT / "binary" / "codebook.vlae").read_bytes()


def refused(data, coder, match):
    with pytest.raises(ValueError, match=f"the bytes cannot be read as a .vlae file: {match}"):
        decompress(data, coder)


def test_a_lossy_file_is_its_codes(coder, images):
    lossy = Coder(coder, "lossy", codebook_bits=8, block_size=20)
    assert len(lossy.encode(images)) == len(images)
    first, second = (lossy.decode([lossy.encode(images)], [20]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_blocks_are_coded_side_by_side_to_the_same_bytes(coder, images, data, monkeypatch):
    several = np.concatenate([images] * 3)
    monkeypatch.setattr(Coder, "workers", 1)
    expected = compress(several, coder)
    monkeypatch.setattr(Coder, "workers", 3)
    assert compress(several, coder) == expected
    with ImageReader(expected, coder, batch_size=16) as reader:
        batches = list(reader.batches())
    # Three workers decode two blocks of 8 each.
    assert [len(batch) for batch in batches] == [48, 12]
    np.testing.assert_array_equal(np.concatenate(batches), several)


def test_the_book_is_prepared_once_for_all_blocks(images, monkeypatch):
    coder = Coder(KEPT / "binary", codebook_bits=6, verify=False)
    monkeypatch.setattr(Coder, "workers", 4)
    prepared, prepare = [], Codebook.checked_codes

    def counted(book, rows):
        prepared.append(len(rows))
        time.sleep(0.2)
        return prepare(book, rows)

    monkeypatch.setattr(Codebook, "checked_codes", counted)
    coder.encode_blocks([images[:2]] * 4)
    assert prepared == [64]


def test_an_error_in_one_of_several_blocks_is_told(coder, images, monkeypatch):
    monkeypatch.setattr(Coder, "workers", 2)
    block = coder.encode(images[:8])
    with pytest.raises(ValueError, match="a block"):
        coder.decode([block, b"\xff" * 9], [8, 8])


def test_damaged_files_are_errors_before_anything_is_decoded(data, coder, monkeypatch):
    monkeypatch.setattr(Coder, "decode", lambda *_: pytest.fail("a damaged block was decoded"))
    start = time.perf_counter()
    tracemalloc.start()
    for mutant in mutated(data, MUTANTS, seed=0):
        if mutant != data:
            with pytest.raises(ValueError, match="cannot be read as a .vlae file: it"):
                decompress(mutant, coder)
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()
    assert time.perf_counter() - start < 60


def test_every_bit_and_every_cut_counts(data, coder, monkeypatch):
    monkeypatch.setattr(Coder, "decode", lambda *_: pytest.fail("a damaged block was decoded"))
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        refused(bytes(flipped), coder, "it")
        refused(data[:place], coder, "it")


def test_blocks_of_another_file_are_an_error_and_no_images(coder, images):
    """Whole by all CRCs but that of the pixels."""
    file = io.BytesIO()
    writer = ContainerWriter(file, coder.header)
    for payload in (coder.encode(images[:8]), b"", b"\0\xff" * 200, bytes(range(1, 256))):
        file.seek(0)
        file.truncate()
        writer = ContainerWriter(file, coder.header)
        writer.write(payload, 8, pixels_crc=1)
        writer.finish()
        refused(file.getvalue(), coder, "(its|a) block|the images of block 0 came out other")


def test_bits_back_of_nonsense_is_an_error(coder, images):
    bits_back = Coder(coder, "bits-back", block_size=8)
    payload = bits_back.encode(images[:8])
    for wrong in (b"", b"\x01", payload[:-4], payload[4:], b"\x01\x08" + payload[2:]):
        with pytest.raises(ValueError):
            assert bits_back.decode([wrong], [8]).tobytes() == images[:8].tobytes()
            raise AssertionError("nonsense decoded")


def _with_header(data, coder, **changes):
    """The file with another header."""
    fields = {**vars(coder.header), **changes}
    old = len(coder.header.to_bytes())
    return Header(**fields).to_bytes() + data[old:]


def test_other_versions_weights_entries_and_shapes_are_told(data, coder):
    newer = bytearray(data)
    struct.pack_into("<H", newer, 8, 2)
    refused(bytes(newer), coder, "it is of version 2, and this vlae_tf reads 1")
    other = _with_header(data, coder, weights="ab" * 32)
    refused(other, coder, "it was made with weights of sha256 abab.* 'binary' has")
    refused(data, None, "it was made with the entry 'binary', which is not in the zoo")
    refused(_with_header(data, coder, image_shape=(5, 4, 1)), coder, "it holds images of shape")
    refused(_with_header(data, coder, levels=256), coder, "it holds images of shape")
    header = bytearray(coder.header.to_bytes())
    header[10] = 9
    header[-4:] = struct.pack("<I", zlib.crc32(header[:-4]))
    refused(bytes(header) + data[len(header) :], coder, "its header has values")
    assert "binary" not in catalogue.entries()


def test_nothing_is_left_of_a_file_that_was_not_finished(coder, images, tmp_path):
    path = tmp_path / "images.vlae"
    with pytest.raises(ValueError, match="`images` must"):
        with ImageWriter(path, coder) as writer:
            writer.write(images)
            writer.write(images + 1)
    with pytest.raises(ZeroDivisionError), ImageWriter(path, coder):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    with ImageWriter(path, coder) as writer:
        for start in range(0, 20, 3):
            writer.write(images[start : start + 3])
    assert [file.name for file in tmp_path.iterdir()] == ["images.vlae"]
    assert path.read_bytes() == (KEPT / "binary" / "codebook.vlae").read_bytes()


def test_arguments_are_checked(coder, images):
    for options, words in (
        ({"method": "zip"}, "`method` must be one of 'codebook', 'bits-back', 'lossy'"),
        ({"codebook_bits": 33}, "`codebook_bits` must be an integer"),
        ({"block_size": 0}, "`block_size` must be an integer"),
        ({"seed": -1}, "`seed` must be an integer"),
        ({"candidates": 0}, "`candidates` must be an integer"),
        ({"verify": "yes"}, "`verify` must be True or False"),
    ):
        with pytest.raises(ValueError, match=words):
            Coder(coder, **options)
    with pytest.raises(ValueError, match="images"):
        compress(images[:, :3], coder)
    with ImageReader(compress(images[:1], coder), coder) as reader:
        with pytest.raises(IndexError, match="`index` must be one of 1 images"):
            reader[1]


def test_a_wrong_decode_is_an_error_when_it_is_written(coder, images, monkeypatch):
    monkeypatch.setattr(Coder, "decode", lambda *_: 1 - images[:8])
    with pytest.raises(RuntimeError, match="does not decode to its images"):
        coder.encode(images[:8])


@pytest.mark.parametrize("compiled", [True, False])
def test_words_that_no_coder_wrote_are_an_error_of_the_file(coder, images, monkeypatch, compiled):
    """Right by their CRC, or read where the model computes otherwise: whatever wraps the error."""

    def astray(*_):
        raise AssertionError("not from here")

    block = coder.encode(images[:8])
    monkeypatch.setattr(image_coder._State, "_decode", astray)
    tf = pytest.importorskip("tensorflow")
    tf.config.run_functions_eagerly(not compiled)
    with pytest.raises(ValueError, match="^a block does not decode: not from here$"):
        coder.decode([block], [8])


def test_two_writers_of_one_file_do_not_spoil_each_other(coder, tmp_path, images):
    path = tmp_path / "same.vlae"
    with ImageWriter(path, coder) as first:
        first.write(images[:4])
        with ImageWriter(path, coder) as second:
            second.write(images[4:6])
        first.write(images[6:])
    expected = np.concatenate([images[:4], images[6:]])
    np.testing.assert_array_equal(decompress(path.read_bytes(), coder), expected)
    assert [file.name for file in tmp_path.iterdir()] == ["same.vlae"]


def test_a_coder_is_used_as_it_is(coder, images):
    lossy = Coder(coder, "lossy", codebook_bits=2)
    data = compress(images[:3], lossy)
    with ImageReader(data, coder) as reader:
        assert reader.header == lossy.header
    with pytest.raises(ValueError, match="`options` must be left out with a `Coder`"):
        compress(images[:3], lossy, seed=1)


def test_only_integers_name_an_image(coder, images):
    with ImageReader(compress(images[:2], coder), coder) as reader:
        np.testing.assert_array_equal(reader[np.int64(1)], images[1])
        for index in (slice(2), "1", None, 1.0, True):
            with pytest.raises(ValueError, match="`index` must be an integer"):
                reader[index]


def test_a_writer_takes_a_coder(tmp_path):
    with pytest.raises(ValueError, match="`coder` must be a `Coder`.*coder='mnist_ladder'"):
        ImageWriter(tmp_path / "images.vlae", "mnist_ladder")
    with pytest.raises(ValueError, match="`entry` must be .* Received: entry of type int"):
        Coder(3)


def test_a_file_is_written_within_its_context_alone(coder, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ImageWriter("images.vlae", coder) as writer:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        writer.write(images)
    with pytest.raises(ValueError, match="within `with ImageWriter"):
        writer.write(images)
    assert decompress((tmp_path / "images.vlae").read_bytes(), coder).shape == images.shape
    assert {path.name for path in tmp_path.iterdir()} == {"images.vlae", "elsewhere"}


def test_images_of_a_block_that_failed_are_not_dropped(coder, images, tmp_path, monkeypatch):
    with ImageWriter(tmp_path / "images.vlae", coder) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(Coder, "encode_blocks", lambda *_: refused_block())
            with pytest.raises(RuntimeError, match="a block that failed"):
                writer.write(np.concatenate([images] * 8)[: 8 * coder.workers])
        writer.write(images)
    count = 8 * coder.workers + len(images)
    assert len(decompress((tmp_path / "images.vlae").read_bytes(), coder)) == count


def refused_block():
    raise RuntimeError("a block that failed")


def test_integers_of_numpy_are_integers(coder, images):
    small = Coder(coder, codebook_bits=6, block_size=np.uint8(8), candidates=np.int64(16))
    many = np.concatenate([images] * 14)
    data = compress(many, small)
    np.testing.assert_array_equal(decompress(data, small), many)
    with ImageReader(data, small) as reader:
        np.testing.assert_array_equal(reader[np.uint8(200)], many[200])


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_block_has_a_count(coder, images, count):
    blocks = [coder.encode(images[:4])] * (2 if count else 0)
    with pytest.raises(ValueError, match="`counts` must be one for each payload"):
        coder.decode(blocks, [4] * count)

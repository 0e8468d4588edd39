import numpy as np
import pytest

from vlae_tf.models import PartialResults

pytestmark = pytest.mark.jax


def test_keeps_several_results_across_processes(tmp_path):
    path = tmp_path / "partial.npy"
    first, second = np.arange(6.0).reshape(2, 3), np.ones((1, 3))
    partial = PartialResults(path)
    partial.save("a", second)
    partial.save("a", first)
    partial.save("b", second)
    again = PartialResults(path)
    np.testing.assert_array_equal(again.rows("a"), first)
    np.testing.assert_array_equal(again.rows("b"), second)
    assert again.rows("c") is None
    again.remove()
    assert list(tmp_path.iterdir()) == []
    assert again.rows("a") is None


def test_removing_leaves_what_another_evaluation_keeps(tmp_path):
    path = tmp_path / "partial.npy"
    one, other = PartialResults(path), PartialResults(path)
    one.save("a", np.ones((1, 3)))
    other.save("b", np.zeros((2, 3)))
    one.remove()
    assert PartialResults(path).rows("a") is None
    np.testing.assert_array_equal(PartialResults(path).rows("b"), np.zeros((2, 3)))


def test_a_write_that_fails_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "partial.npy"
    PartialResults(path).save("a", np.ones((2, 3)))

    def full_disk(file, rows):
        file.write(b"half")
        raise OSError("No space left on device")

    partial = PartialResults(path)
    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        partial.save("a", np.zeros((4, 3)))
    assert list(tmp_path.iterdir()) == [tmp_path / "partial-a.npy"]
    np.testing.assert_array_equal(PartialResults(path).rows("a"), np.ones((2, 3)))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated", b"text", b"\x93NUMPY"])
def test_refuses_another_file(tmp_path, content):
    file = tmp_path / "partial-a.npy"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="`path` must hold the partial results.*partial-a.npy"):
        PartialResults(tmp_path / "partial.npy").rows("a")
    assert file.read_bytes() == content

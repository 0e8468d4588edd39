"""Version folders appear whole or not at all."""

import errno
import os
import stat

import pytest
import tensorflow as tf

from vlae_tf.saved_model.version import write_version

pytestmark = pytest.mark.slow


def write(path):
    (path / "saved_model.pb").write_text("whole")


def half_written(error):
    def write(path):
        (path / "variables").mkdir()
        (path / "variables" / "variables.data").write_text("half")
        raise error

    return write


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_versions_count_from_one(tmp_path):
    folder = tmp_path / "new" / "tiny"
    assert [write_version(folder, None, write).name for _ in range(3)] == ["1", "2", "3"]
    assert names(folder) == ["1", "2", "3"]
    assert (folder / "3" / "saved_model.pb").read_text() == "whole"


def test_next_version_is_the_newest_for_a_server(tmp_path):
    # A server serves the highest number: a gap must not be filled.
    for name in ("2", "10", "notes", ".writing-of-a-killed-process"):
        (tmp_path / name).mkdir()
    assert write_version(tmp_path, None, write).name == "11"
    assert write_version(tmp_path, 4, write).name == "4"


def test_version_can_be_read_by_the_server_s_user(tmp_path):
    umask = os.umask(0o022)
    try:
        path = write_version(tmp_path, None, write)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        tf.errors.ResourceExhaustedError(None, None, "variables.data; No space left on device"),
    ],
)
def test_full_disk_is_said_and_leaves_nothing(tmp_path, error):
    with pytest.raises(OSError, match=r"room for the model; .*filepath=.*No space left on device"):
        write_version(tmp_path / "new" / "tiny", None, half_written(error))
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("of the model's own")])
def test_interruption_passes_through_and_leaves_what_was_there(tmp_path, error):
    write_version(tmp_path, None, write)
    with pytest.raises(type(error)):
        write_version(tmp_path, None, half_written(error))
    assert names(tmp_path) == ["1"]


def test_nothing_that_looks_like_a_version_is_there_while_writing(tmp_path):
    seen = []
    write_version(tmp_path, None, lambda path: (seen.extend(names(tmp_path)), write(path)))
    assert len(seen) == 1
    assert not seen[0].isdecimal()


def test_read_only_folder_is_said(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    folder.chmod(0o555)
    # Root may write anywhere: be somebody else for this call.
    tmp_path.chmod(0o755)
    root = os.geteuid() == 0
    closed = [path for path in tmp_path.parents if path.stat().st_mode & 0o011 != 0o011]
    for path in closed if root else []:
        path.chmod(path.stat().st_mode | 0o011)
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(OSError, match="can be written to.*filepath=.*Permission denied"):
            write_version(folder, None, write)
    finally:
        if root:
            os.seteuid(0)
    assert names(folder) == []


def test_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        NotADirectoryError, match="`filepath` must be a folder. Received: filepath="
    ):
        write_version(tmp_path / "file", None, write)
    with pytest.raises(OSError, match="`filepath` must be a folder"):
        write_version(tmp_path / "file" / "below", None, write)


def test_version_taken_meanwhile_is_never_replaced(tmp_path):
    def overtaken(path):
        write(path)
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "saved_model.pb").write_text("the other")

    assert write_version(tmp_path, None, overtaken).name == "2"
    with pytest.raises(FileExistsError, match="Received: version=1"):
        write_version(tmp_path, 1, write)
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "the other"
    assert names(tmp_path) == ["1", "2"]


def test_what_a_killed_export_left_is_cleared_and_what_is_being_written_is_not(tmp_path):
    dead, young = tmp_path / ".writing-dead", tmp_path / ".writing-young"
    for path in (dead, young):
        path.mkdir()
        (path / "half").touch()
    os.utime(dead, (0, 0))

    def write_slowly(path):
        os.utime(path, (0, 0))
        # Another export, meanwhile.
        assert write_version(tmp_path, None, write).name == "1"
        assert path.exists()
        write(path)

    assert write_version(tmp_path, None, write_slowly).name == "2"
    assert names(tmp_path) == [".writing-young", "1", "2"]

"""The local server that all tests of client and server ask, and the models behind it."""

import shutil
from pathlib import Path

import pytest

from tests import served
from tests.serving import servers
from tests.tiny import tiny_control, tiny_model
from vlae_tf.saved_model.version import write_version
from vlae_tf.serving import Server


@pytest.fixture(scope="session")
def grey():
    """A model of 256 levels."""
    return tiny_model((8, 8, 1), 2, levels=256)


@pytest.fixture(scope="session")
def folder(exported, grey, tmp_path_factory):
    """A folder of models: `tiny`, `count`, `odd`, and `grey` and `control` that only encode."""
    folder = Path(servers.FOLDER or tmp_path_factory.mktemp("models"))

    def copy(path):
        shutil.copytree(exported, path, dirs_exist_ok=True)

    write_version(folder / "tiny", None, copy)
    servers.publish_count(folder / "count")
    write_version(folder / "odd", None, served.save_odd)
    for name, model in (("grey", grey), ("control", tiny_control((2, 2, 1)))):
        write_version(
            folder / name, None, lambda path, model=model: served.save_encode(model, path)
        )
    return folder


@pytest.fixture(scope="session")
def server(folder):
    with Server(folder, port=0, rest_port=0, poll_seconds=0.1) as server:
        yield server

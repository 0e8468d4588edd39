import pytest

from tests.tiny import write_images


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A file of own binary images."""
    return write_images(tmp_path_factory.mktemp("images") / "images.npz", train=24, validation=6)

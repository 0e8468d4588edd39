import pytest
from matplotlib.figure import Figure

from tests.integrable import IMAGES, SHAPE, integrable_control, integrable_model
from tests.tiny import all_images as all_images_of


@pytest.fixture(scope="session")
def build_model():
    return integrable_model


@pytest.fixture(scope="session")
def wide_model():
    """To be left as it is."""
    return integrable_model(3)


@pytest.fixture(scope="session")
def control():
    """To be left as it is."""
    return integrable_control()


@pytest.fixture
def all_images():
    """Every image there is of the models' shape."""
    return all_images_of(SHAPE)


@pytest.fixture
def images():
    return IMAGES.copy()


@pytest.fixture
def curves(monkeypatch):
    """The figures that are saved."""
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: saved.append(figure))
    return saved

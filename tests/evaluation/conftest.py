import pytest
from matplotlib.figure import Figure

from tests.integrable import ALL_IMAGES, IMAGES, integrable_control, integrable_model


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
    return ALL_IMAGES


@pytest.fixture
def images():
    return IMAGES


@pytest.fixture
def curves(monkeypatch):
    """The figures that are saved."""
    saved = []

    def save(figure, path, **options):
        path.touch()
        saved.append(figure)

    monkeypatch.setattr(Figure, "savefig", save)
    return saved

import pytest
from matplotlib.figure import Figure

from tests.integrable import IMAGES, SHAPE, integrable_control, integrable_model
from tests.tiny import all_images as all_images_of
from vlae_tf.files import sha256
from vlae_tf.runs import load_run


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


@pytest.fixture(scope="session")
def load_once():
    """`load_run`, with one model for each weights file, so that its functions are compiled once."""
    models = {}

    def load(folder, dtype=None):
        key = sha256(folder / "model.weights.h5"), dtype
        if key not in models:
            models[key] = load_run(folder, dtype)
        return models[key]

    return load


@pytest.fixture
def curves(monkeypatch):
    """The figures that are saved."""
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: saved.append(figure))
    return saved

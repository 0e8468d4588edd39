"""The arrows between the package's files point down, and the picture in docs/ shows them."""

import re
from pathlib import Path

import pytest

import vlae_tf
from tests import architecture

PACKAGE = Path(vlae_tf.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"


def package(folder, files):
    """A package `vlae_tf` with these sources, by the names of its files."""
    for name, source in files.items():
        path = folder / "vlae_tf" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return folder / "vlae_tf"


def test_every_import_points_down_and_none_in_a_circle():
    found = architecture.violations(PACKAGE)
    assert not found, "\n".join(["Imports that the rooms do not allow:", *found])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"models/vae": "from vlae_tf.runs.recipe import Recipe", "runs/recipe": ""},
            "vlae_tf/models/vae.py imports vlae_tf.runs.recipe: this arrow points up, "
            "from models to runs",
        ),
        (
            {"models/vae": "def f():\n    from vlae_tf import zoo"},
            "vlae_tf/models/vae.py imports vlae_tf.zoo: this arrow points up",
        ),
        (
            {"models/vae": "import vlae_tf\nvlae_tf.zoo.load()", "zoo/catalogue": ""},
            "points up, from models to zoo",
        ),
        (
            {"priors/flow": "import vlae_tf.posteriors.gaussian"},
            "vlae_tf/priors/flow.py imports vlae_tf.posteriors.gaussian: this arrow points "
            "sideways, from priors to posteriors",
        ),
        ({"layers/dense": "from vlae_tf import VAE"}, "points up, from layers to models"),
        ({"cli/demo": "import vlae_tf.attic"}, "the room 'attic' stands on no floor"),
        (
            {
                "layers/a": "from vlae_tf.layers.b import B",
                "layers/b": "def f():\n    import vlae_tf.layers.a",
            },
            "import each other in a circle",
        ),
        ({"models/vae": "import tensorflow as tf"}, "tensorflow is for backend, datasets, noise"),
        ({"training/driver": "import tensorflow"}, "tensorflow is for"),
        ({"layers/made": "import tensorflow_probability"}, "is for backend alone"),
        (
            {"serving/client/client": "def f():\n    from keras import ops"},
            "serving.client must load without keras",
        ),
        ({"checks": "import keras"}, "checks must load without keras"),
        ({"seeds": "def f():\n    import keras"}, "seeds must load without keras"),
        ({"files": "from tensorflow import io"}, "files must load without tensorflow"),
        ({"__init__": "import keras"}, "vlae_tf must load without keras"),
    ],
)
def test_a_wrong_import_is_found_and_explained(tmp_path, files, words):
    (found,) = architecture.violations(package(tmp_path, files))
    assert words in found


def test_right_imports_are_left_alone(tmp_path):
    files = {
        "layers/dense": "import keras\nfrom vlae_tf.checks import refuse",
        "models/vae": "import vlae_tf\nfrom vlae_tf import layers\nvlae_tf.layers.Dense()",
        "checks": "def check_dtype():\n    import keras",
        "training/driver": "def fit():\n    import tensorflow as tf",
        "saved_model/export": "import tensorflow as tf\nimport numpy as np",
        "__init__": "from vlae_tf._version import __version__",
    }
    assert architecture.violations(package(tmp_path, files)) == []


def test_the_local_server_stays_small():
    files = (PACKAGE / "serving" / "server").glob("*.py")
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) <= 600


def test_only_arrows_without_a_detour_are_drawn(tmp_path):
    files = {
        "cli/demo": "import vlae_tf.models.vae, vlae_tf.checks",
        "models/vae": "import vlae_tf.layers.dense",
        "layers/dense": "from vlae_tf.checks import refuse",
    }
    folder = package(tmp_path, files)
    assert ("cli", "checks") in architecture.arrows(folder)
    assert architecture.direct_arrows(folder) == {
        ("cli", "models"),
        ("models", "layers"),
        ("layers", "checks"),
    }


def test_the_picture_shows_the_arrows_of_the_source():
    picture = (DOCS / "architecture.svg").read_text(encoding="utf-8")
    drawn = set(re.findall(r'id="arrow ([\w.]+) ([\w.]+)"', picture))
    assert drawn == architecture.direct_arrows(PACKAGE), "run python -m docs.draw_architecture"


def test_the_page_names_every_room():
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for room in architecture.FLOOR:
        assert f"`{room.replace('.', '/')}" in page, room

"""README.md and docs/: the code runs, names, links, commands and recipes are those there are."""

import ast
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from tests import outside
from tests.tiny import TINY_MODEL, write_images
from vlae_tf import likelihoods, networks, priors

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "export/README.md"]
PAGES += sorted(
    str(path.relative_to(ROOT))
    for path in ROOT.glob("docs/**/*.md")
    # What `make docs` writes.
    if path.relative_to(ROOT).parts[1] not in ("_build", "generated")
)
SHAPE = (8, 8, 1)
# Pages whose Python is run, block after block as one program, in a small version: what is replaced.
# The Python of other pages is compiled, and what it imports is looked up.
ENTRY = {'load("mnist_static")': 'load("tiny")', 'examples("mnist_static")': 'examples("tiny")'}
RUN = {
    "README.md": {
        'load("mnist_static")': 'load("tiny")',
        'examples("mnist_static")': 'examples("tiny")',
        'load("mnist_dynamic"': 'load("images.npz"',
        "size = (32, 32, 3)": "size = (4, 4, 3)",
        "(28, 28, 1)": str(SHAPE),
        "importance_samples=16": "importance_samples=2",
        "sample(16,": "sample(2,",
        "LocalPixelCNN(blocks=2,": "LocalPixelCNN(filters=2, blocks=0,",
        "latent_dim=32,\n    likelihood_family": "latent_dim=2, **tiny,\n    likelihood_family",
        # It takes seconds; tests/saved_model exports models of every kind.
        'vlae.export("served/mnist_static")': "vlae.export",
        "epochs=20": "epochs=1",
        'block="dense"': 'block="dense", filters=[2], blocks=0, units=2',
    },
    "docs/contracts.md": {"(28, 28, 1)": "(4, 4, 1)", "units=64": "units=2"},
    "docs/howto/completing.md": ENTRY | {"numpy.zeros((28, 28, 1)": f"numpy.zeros({SHAPE}"},
    "docs/howto/features.md": ENTRY | {"48": "3"},
    "docs/howto/fine_tuning.md": {
        'locate("mnist_dynamic")': 'locate("tiny")',
        'load("mnist_dynamic")': 'load("tiny")',
        'examples("mnist_dynamic")': 'examples("tiny")',
    },
    "docs/own_data.md": {
        "(64, 28, 28, 1)": "(4, 8, 8, 1)",
        "(28, 28, 1)": str(SHAPE),
        "latent_dim=16)": "latent_dim=2, **tiny, likelihood_family=likelihood)",
        '{"latent_dim": 16}': "tiny_model",
        '{"latent_dim": 16, "encoder": wide}': 'tiny_model | {"encoder": wide}',
        '"my_images.npz"': '"images.npz"',
        "epochs=20": "epochs=1",
        "16 * width, 32 * width": "width",
    },
    "docs/relatives.md": {
        "(28, 28, 1)": "(4, 4, 1)",
        "[[500], [2000]]": "[[4], [3]]",
        "[500, 2000]": "[4, 3]",
    },
    "docs/windows.md": ENTRY | {"numpy.zeros((28, 28, 1)": f"numpy.zeros({SHAPE}"},
}


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page, language):
    """The fenced code of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.DOTALL | re.MULTILINE)


def resolve(name):
    """What a dotted name stands for."""
    first, *rest = name.split(".")
    found, path = importlib.import_module(first), first
    for part in rest:
        path = f"{path}.{part}"
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module(path)
    return found


@pytest.mark.parametrize("page", RUN)
def test_python_runs(page, tiny_zoo, eager, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "images.npz", image_shape=SHAPE, train=4, validation=2)
    (tmp_path / "my_pictures").mkdir()
    for name, shade in (("a.png", "red"), ("b.jpg", "blue")):
        Image.new("RGB", (9, 7), shade).save(tmp_path / "my_pictures" / name)
    code = "\n".join(blocks(page, "python"))
    for old, new in RUN[page].items():
        assert old in code, f"{page} no longer has {old!r}"
        code = code.replace(old, new)
    small = {"filters": [2], "blocks": 0, "units": 2}
    names = {
        "__name__": "page",
        "tiny": {
            "encoder": networks.ResNetEncoder(**small),
            "decoder": networks.ResNetDecoder(SHAPE, **small),
            "prior_family": priors.FlowPrior(2, steps=0),
        },
        "likelihood": likelihoods.BernoulliLikelihood(SHAPE),
        "tiny_model": TINY_MODEL | {"likelihood_family": {"class_name": "BernoulliLikelihood"}},
    }
    exec(compile(code, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_python_compiles_and_names_are_current(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block, page)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("vlae_tf"):
                for alias in node.names:
                    assert resolve(f"{node.module}.{alias.name}") is not None
    for name in set(re.findall(r"(?<![\w/.>])vlae_tf(?:\.[A-Za-z_]\w*)+", text_of(page))):
        assert resolve(name) is not None


@pytest.mark.parametrize("page", sorted(set(RUN) - {"docs/contracts.md"}))
def test_vlae_tf_is_imported_before_keras(page):
    # TensorFlow starts with its notices on the terminal otherwise.
    imports = re.findall(r"^import (keras|tensorflow|vlae_tf)", text_of(page), re.MULTILINE)
    assert imports[0] == "vlae_tf"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)\)", text_of(page))
    missing = [
        link
        for link in links
        # `make docs` writes those pages, and fails where a link leads nowhere.
        if "generated/" not in link and not (ROOT / page).parent.joinpath(link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_recipes_are_valid(page):
    from vlae_tf.runs import Recipe

    for block in blocks(page, "json"):
        Recipe(**json.loads(block))


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_their_options_are_there(page):
    import typer

    from vlae_tf.catalogue import entry_names
    from vlae_tf.cli import app

    lines = [
        line
        for block in blocks(page, "sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("vlae-tf ")
    ]
    lines += re.findall(r"`(vlae-tf [a-z][^`]*)`", text_of(page))
    for line in lines:
        command, words = typer.main.get_command(app), shlex.split(line, comments=True)[1:]
        while hasattr(command, "commands"):
            word = words.pop(0)
            assert word in command.commands, f"{line}: no command {word}"
            command = command.commands[word]
        known = {option for param in command.params for option in param.opts} | {"--help"}
        unknown = [word for word in words if word.startswith("--") and word not in known]
        assert not unknown, f"{line}: no option {unknown}"
        # What was published with an entry is not measured over. results.md has commands as they
        # were given.
        measured = command.name in ("evaluate", "probe") and words and words[0] in entry_names()
        assert page == "docs/results.md" or not measured or "--out" in words, (
            f"{line}: an entry needs --out"
        )


def test_make_has_the_targets_of_the_readme():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z][a-z-]+)", "".join(blocks("README.md", "sh")))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_readme_is_short():
    assert len(text_of("README.md").splitlines()) <= 200


def test_the_examples_of_parts_are_those_that_are_tested():
    def classes(source):
        tree = ast.parse(source)
        return {node.name: ast.dump(node) for node in tree.body if isinstance(node, ast.ClassDef)}

    shown = classes("\n".join(blocks("docs/contracts.md", "python")))
    tested = classes(Path(outside.__file__).read_text(encoding="utf-8"))
    assert shown.keys() - tested.keys() == {"FlippedBernoulliLikelihood"}
    for name in shown.keys() & tested.keys():
        assert shown[name] == tested[name], name

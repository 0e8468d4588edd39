"""What goes with the code: lock, stubs for type checkers, licences of the images, citation."""

import ast
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import vlae_tf
from vlae_tf import catalogue, saved_model
from vlae_tf.datasets import DATASETS
from vlae_tf.files import read_json

ROOT = Path(__file__).parents[1]
LOCKS = ["requirements.lock", "requirements-docs.lock"]


def locked(name):
    """Versions of a lock, a dict by name; every one has a hash."""
    text = (ROOT / name).read_text()
    pins = re.findall(
        r"^([\w.-]+)==([^ ]+) \\\n( +--hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+", text, re.M
    )
    unread = [line for line in text.splitlines() if not line.startswith(("#", " "))]
    assert len(pins) == len(unread) > 50
    return {canonicalize_name(name): version for name, version, _ in pins}


@pytest.mark.parametrize("name", LOCKS)
def test_every_version_of_a_lock_has_its_hashes(name):
    assert locked(name)


@pytest.fixture
def setup(monkeypatch):
    """What setup.py says, a dict."""
    said = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("setuptools.setup", lambda **given: said.update(given))
    exec(compile((ROOT / "setup.py").read_text(), "setup.py", "exec"), {"__file__": "setup.py"})
    return said


def test_what_setup_asks_for_is_in_the_lock(setup):
    extras, pins = setup["extras_require"], locked("requirements.lock")
    installed = setup["install_requires"] + extras["all"]
    for requirement in map(Requirement, installed):
        if canonicalize_name(requirement.name) != "huggingface-hub":
            version = pins[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), requirement
    for requirement in map(Requirement, extras["docs"]):
        version = (pins | locked("requirements-docs.lock"))[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_extras_that_texts_name_are_there(setup):
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("export/*.md")]
    named = set(re.findall(r"vlae_tf\[(\w+)\]'", "".join(p.read_text() for p in texts)))
    for path in ROOT.glob("vlae_tf/**/*.py"):
        called = r"check_installed\(\S+, \"(\w+)\""
        named |= set(re.findall(called, path.read_text()))
    named |= set(saved_model.runtimes.SUFFIXES) - {"litert"}
    assert {"serving", "sklearn", "onnx"} < named <= set(setup["extras_require"])


@pytest.mark.parametrize("stub", ["__init__.pyi", "serving/__init__.pyi"])
def test_a_stub_names_what_its_module_does(stub):
    path = Path(vlae_tf.__file__).parent / stub
    module = vlae_tf.serving if "serving" in stub else vlae_tf
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
        else:
            assert ast.literal_eval(node.value) == module.__all__
    assert names == set(module.__all__)
    assert (path.parent / "py.typed").is_file() or module is not vlae_tf


def test_the_notice_names_each_entry_and_the_terms_of_its_images():
    sections = (ROOT / "NOTICE").read_text().split("\n\n")
    for name, folder in catalogue.entries(own=False).items():
        (section,) = [s for s in sections if re.search(rf"\b{name}\b", s.split(")\n")[0])]
        licence = DATASETS[read_json(folder / "recipe.json")["dataset"]].licence
        for terms in re.findall(r"CC BY(?:-SA)? [\d.]+|MIT|none stated|free for research", licence):
            assert terms.replace("none stated", "no terms are stated") in section, name


def test_the_citation_has_the_version():
    import yaml

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == vlae_tf.__version__
    assert {"cff-version", "message", "title", "authors"} < set(citation)

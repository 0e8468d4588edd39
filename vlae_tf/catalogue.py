"""What can be named: recipes of the package, and entries of the zoo. Files alone, without Keras."""

import difflib
import fnmatch
import os
import pathlib

from vlae_tf.checks import refuse
from vlae_tf.files import PathLike, read_json

_PACKAGE = pathlib.Path(__file__).parent
RECIPES = _PACKAGE / "runs" / "recipes"
SIZES = RECIPES.with_name("recipe_sizes.json")
# Installed inside the package; at the top of the repository in a checkout.
ZOO = next((f for f in (_PACKAGE / "_zoo", _PACKAGE.parent / "zoo") if f.is_dir()), None)
# Names a folder of entries of one's own.
VARIABLE = "VLAE_TF_ZOO"
# Repositories of the Hugging Face Hub, and which of their files are read.
_HUB = "hf://"
_FILES = ("*.json", "*.md", "*.csv", "*.npz", "*.npy", "*.png", "model.weights.h5")


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.json"))


def recipe_sizes():
    """Numbers of weights of those recipes' models, a dict by name.

    To count them takes Keras, so they are kept in a file, which `python -m vlae_tf.runs` writes.
    """
    return read_json(SIZES)


# === Entries of the zoo ===


def entries(own=True):
    """Folders of the entries, a dict by name: the package's and, if `own`, those of VLAE_TF_ZOO.

    Raises:
        ValueError: if VLAE_TF_ZOO names no folder, or one with an entry of a name of the package's.
    """
    found = {} if ZOO is None else _entries_in(ZOO)
    if own and (value := os.environ.get(VARIABLE)):
        folder = pathlib.Path(value).expanduser()
        if not folder.is_dir():
            raise ValueError(f"`{VARIABLE}` must be a folder of entries. Received: {value!r}")
        private = _entries_in(folder)
        if both := sorted(found.keys() & private.keys()):
            raise ValueError(
                f"`{VARIABLE}` must hold entries with names of their own. Received: "
                f"{', '.join(both)} in {value!r}, which the package has too"
            )
        found |= private
    return dict(sorted(found.items()))


def _entries_in(folder):
    return {path.parent.name: path.parent for path in folder.glob("*/config.json")}


def entry_names(pattern: str = "*") -> list[str]:
    """Names of the entries that match a shell pattern, sorted. As `zoo.list` in the package.

    The environment variable VLAE_TF_ZOO may name a folder with entries of your own.

    Example:
        >>> import vlae_tf
        >>> vlae_tf.zoo.list("no_such*")
        []
    """
    return fnmatch.filter(entries(), pattern)


def locate(source: PathLike, argument: str = "source") -> pathlib.Path:
    """The folder of a model: of an entry, by its name, or of any folder with a config.json.

    Args:
        source: name of an entry (`zoo.list()`), path of an entry or of a run of `vlae-tf train`,
            or "hf://user/name", a repository of the Hugging Face Hub with the files of an entry
            (needs the package huggingface_hub).
        argument: what an error calls it.

    Raises:
        ValueError: if it is none of these; it names those that there are.
        ImportError: for "hf://..." without huggingface_hub.

    Example:
        >>> import vlae_tf
        >>> vlae_tf.zoo.locate("mnist_static").name
        'mnist_static'
    """
    if not isinstance(source, (str, os.PathLike)):
        received = f"{argument} of type {type(source).__name__}"
        refuse(argument, "the name of an entry of the zoo, or a path", source, received)
    source = os.fspath(source)
    if source.startswith(_HUB):
        return _download(source, argument)
    known, path = entries(), pathlib.Path(source).expanduser()
    if source in known:
        return known[source]
    if source and (path / "config.json").is_file():
        return path
    raise ValueError(_unknown(source, path, known, argument))


def published(folder):
    """Whether a folder is an entry of the package's zoo."""
    return ZOO is not None and ZOO.resolve() in pathlib.Path(folder).resolve().parents


def result_file(folder, path, name):
    """The file for a measurement of a model: `path`, or unless given that of this name in its
    folder.

    Raises:
        ValueError: for an entry of the package's zoo without a path: its folder holds what was
            published.
    """
    if path is not None:
        return pathlib.Path(path)
    folder = pathlib.Path(folder)
    if published(folder):
        raise ValueError(
            f"`path` (--out) must be given for an entry of the zoo, whose {name} holds the "
            f"published figures. Received: the entry {folder.name!r} without it"
        )
    return folder / name


def _unknown(source, path, known, argument):
    """What is wrong with a source, and which there are."""
    expected = "the name of an entry of the zoo, the folder of an entry or a run, or hf://user/name"
    near = sorted(_entries_in(path.parent)) if source and path.parent.is_dir() else []
    there = [f"the zoo has {', '.join(known) or 'no entry'}"]
    if near:
        there.append(f"{path.parent} has {', '.join(near)}")
    there = "; ".join(there)
    sentence = f"`{argument}` must be {expected}; {there}. Received: {argument}={source!r}"
    if path.suffix == ".keras":
        return f"{sentence}. A .keras file is loaded by keras.saving.load_model."
    if source and path.is_dir():
        return f"{sentence}, a folder without config.json"
    if close := difflib.get_close_matches(path.name, [*known, *near], n=1):
        sentence += f". Did you mean {path.parent / close[0] if close[0] in near else close[0]}?"
    return sentence


def _download(source, argument):
    """The folder with the files of a repository of the Hugging Face Hub, downloaded once."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{source!r} needs the package 'huggingface_hub': pip install 'vlae_tf[hub]'"
        ) from error
    repository = source.removeprefix(_HUB)
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise ValueError(f"`{argument}` must be hf://user/name. Received: {argument}={source!r}")
    folder = pathlib.Path(huggingface_hub.snapshot_download(repository, allow_patterns=_FILES))
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"`{argument}` must be a repository with the files of an entry. Received: {source!r}, "
            "which has no config.json"
        )
    return folder


# === What an entry says of itself ===


def read_entry(folder, part):
    """The JSON file `part`.json of an entry or a run.

    Raises:
        ValueError: if it is missing, or damaged.
    """
    path = folder / f"{part}.json"
    if not path.is_file():
        raise ValueError(f"`source` must have a {path.name}. Received: {str(folder)!r} without it")
    return read_json(path)


def read_card(folder):
    """The card of an entry, Markdown.

    Raises:
        ValueError: if there is none, as in the folder of a run.
    """
    return published_file(folder, "card.md").read_text(encoding="utf-8")


def published_file(folder, name):
    """The path of a file that entries have and runs have not, or a `ValueError`."""
    path = folder / name
    if not path.is_file():
        raise ValueError(
            f"`source` must be an entry, with a {name}; `vlae-tf zoo publish` makes one of a run. "
            f"Received: {str(folder)!r} without {name}"
        )
    return path

"""The `vlae-tf` command itself: what all its commands share."""

import pathlib
import shlex
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from vlae_tf import __version__

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Variational autoencoders: train, evaluate, sample, reconstruct, export, serve.",
)
console = Console()

Source = Annotated[
    str,
    typer.Argument(help="An entry of the zoo, the folder of an entry or a run, or hf://user/name."),
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]
DataDir = Annotated[
    str | None, typer.Option(help="Folder of TFDS' data.", callback=lambda path: _folder(path))
]
Dtype = Annotated[str, typer.Option(help="Policy of the convolutions: float32, or mixed_bfloat16.")]


def _folder(path):
    if path is not None and not pathlib.Path(path).expanduser().is_dir():
        raise typer.BadParameter(f"there must be such a folder. Received: {path!r}")
    return path


def _tell_version(wanted):
    if wanted:
        print(f"vlae-tf {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="The version."),
    ] = False,
):
    pass


def command_line():
    """The command line, quoted so that it can be typed again."""
    return shlex.join(["vlae-tf", *sys.argv[1:]])


def refuse_options(context, purpose, names):
    """Raises a `ValueError` if one of these options was given, which `purpose` does not use."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            raise ValueError(
                f"`{option}` has no use for {purpose}. Received: {option} {context.params[name]!s}"
            )


def examples(source, option):
    """The example images of a zoo entry; as many of its own data, test images if there are any, for
    a run. `option` is what names others."""
    from vlae_tf import zoo
    from vlae_tf.runs import Recipe
    from vlae_tf.runs.data import split_images
    from vlae_tf.zoo.publishing import examples_count

    folder = zoo.locate(source)
    if (folder / "examples.npz").is_file():
        return zoo.examples(source)
    recipe, reasons = Recipe.load(folder / "recipe.json"), []
    for split in ("test", "train"):
        try:
            images = split_images(recipe, split)
            return images[: examples_count(images)]
        except (ValueError, OSError) as error:
            reasons.append(error)
    raise ValueError(
        f"`{option}` must name images, where those of the run cannot be read. Received: "
        f"source={source!r} without {option}: {reasons[-1]}"
    )


def check_picture(out):
    """Raises a `ValueError` unless a picture can be written to `out`, and makes its folder: before
    the work, not after."""
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if out.suffix[1:].lower() not in known:
        raise ValueError(
            f"`out` must be a picture, such as out.png; known are {', '.join(known)}. "
            f"Received: out={str(out)!r}"
        )
    out.parent.mkdir(parents=True, exist_ok=True)


def own_images(source, model):
    """Images of a user as the model takes them: of its size, and binary where it is."""
    from vlae_tf import datasets

    images = datasets.load_arrays(source, image_shape=model.image_shape)
    return datasets.thresholded(images) if model.levels == 2 else images


def main():
    """Entry point: a user's mistake is one line, not a traceback."""
    try:
        app()
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        Console(stderr=True).print(
            f"[red]Error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True
        )
        sys.exit(1)

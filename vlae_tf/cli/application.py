"""The `vlae-tf` command itself: what all its commands share."""

import os
import shlex
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

# Set before TensorFlow is imported: its start-up notices would drown the commands' own output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Variational autoencoders: train, evaluate, sample, reconstruct, export, serve.",
)
console = Console()

Source = Annotated[str, typer.Argument(help="An entry of the zoo, or the folder of a run.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]
DataDir = Annotated[str | None, typer.Option(help="Folder of TFDS' data.")]
Dtype = Annotated[str, typer.Option(help="Policy of the convolutions: float32, or mixed_bfloat16.")]


def command_line():
    """The command line, quoted so that it can be typed again."""
    return shlex.join(["vlae-tf", *sys.argv[1:]])


def examples(source, option):
    """The example images of a zoo entry. A run has none: `option` must name some."""
    from vlae_tf import zoo

    if source not in zoo.list():
        raise ValueError(
            f"`{option}` must name images: only entries of the zoo have examples. "
            f"Received: source={source!r} without {option}"
        )
    return zoo.examples(source)


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

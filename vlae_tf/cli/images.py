"""Commands that make pictures."""

import pathlib
from typing import Annotated

import typer

from vlae_tf.cli.application import (
    Dtype,
    Seed,
    Source,
    app,
    check_picture,
    console,
    examples,
    own_images,
)

Out = Annotated[pathlib.Path, typer.Option(help="Picture to write.")]


@app.command()
def sample(
    source: Source,
    n: Annotated[int, typer.Option("--n", "-n", help="Number of images.")] = 64,
    temperature: Annotated[float, typer.Option(help="Scale of the prior's noise.")] = 1.0,
    out: Out = pathlib.Path("samples.png"),
    seed: Seed = 0,
    dtype: Dtype = "float32",
):
    """Draw new images: a code from the prior, pixels from the decoder."""
    check_picture(out)
    from vlae_tf import evaluation, zoo

    model = zoo.load(source, dtype)
    with console.status(f"Drawing {n} images"):
        evaluation.plot_samples(model.sample(n, seed=seed, temperature=temperature), out)
    console.print(f"{n} samples are in {out}")


@app.command()
def reconstruct(
    source: Source,
    images: Annotated[
        str | None,
        typer.Option(
            help="Your images, a file or folder; the entry's examples if absent. "
            "For binary models, grey is cut at 128."
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of images.")] = 10,
    out: Out = pathlib.Path("reconstructions.png"),
    seed: Seed = 0,
    dtype: Dtype = "float32",
):
    """Images, and below each several drawn from its code: what stays the same is in the code."""
    check_picture(out)
    from vlae_tf import evaluation, zoo

    model = zoo.load(source, dtype)
    if images is None:
        originals = examples(source, "--images")
    else:
        originals = own_images(images, model)
    with console.status(f"Reconstructing {n} images"):
        evaluation.plot_reconstructions(model, originals[:n], out, seed=seed)
    console.print(f"Reconstructions are in {out}")


@app.command()
def demo(
    out: Annotated[pathlib.Path, typer.Option(help="Folder for pictures and SavedModel.")],
    entry: Annotated[str, typer.Option(help="Name of an entry of the zoo.")] = "mnist_static",
):
    """Load a trained model, encode, reconstruct, sample, export, and compare in a fresh process."""
    from vlae_tf.cli import demo

    demo.run(entry, out, console)

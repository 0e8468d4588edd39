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
Images = Annotated[
    str | None,
    typer.Option(
        help="Your images, a file or folder; the entry's examples if absent. "
        "For binary models, grey is cut at 128."
    ),
]
Count = Annotated[int, typer.Option("--n", "-n", min=1, help="Number of images.")]


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
    images: Images = None,
    n: Count = 10,
    out: Out = pathlib.Path("reconstructions.png"),
    seed: Seed = 0,
    dtype: Dtype = "float32",
):
    """Images, and below each several drawn from its code: what stays the same is in the code."""
    check_picture(out)
    from vlae_tf import evaluation, zoo

    model = zoo.load(source, dtype)
    originals = _originals(source, images, model)
    with console.status(f"Reconstructing {n} images"):
        evaluation.plot_reconstructions(model, originals[:n], out, seed=seed)
    console.print(f"Reconstructions are in {out}")


@app.command()
def gibbs(
    source: Source,
    images: Images = None,
    noise: Annotated[
        bool, typer.Option("--noise", help="Begin with random pixels instead.")
    ] = False,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the chain.")] = 16,
    n: Count = 10,
    out: Out = pathlib.Path("gibbs.png"),
    seed: Seed = 0,
    dtype: Dtype = "float32",
):
    """The Markov chain image, code drawn from its posterior, image: how to sample without a prior.

    The picture shows the beginning and the images after 1, 2, 4, ... steps and the last.
    """
    check_picture(out)
    import numpy as np

    from vlae_tf import evaluation, zoo

    if noise and images is not None:
        raise ValueError(f"`--noise` takes no images. Received: --images {images} --noise")
    model = zoo.load(source, dtype)
    if noise:
        pixels = np.random.default_rng(seed).integers(model.levels, size=(n, *model.image_shape))
        begin = pixels.astype("uint8")
    else:
        begin = _originals(source, images, model)[:n]
    with console.status(f"Drawing {len(begin)} chains of {steps} steps"):
        chain = model.gibbs(begin, steps, seed=seed)
    shown = [step for step in (2**power for power in range(32)) if step < steps] + [steps]
    rows = {f"after {step}": chain[step - 1] for step in shown}
    evaluation.plot_rows({"beginning": begin, **rows}, out)
    console.print(f"Chains of {steps} steps are in {out}")


def _originals(source, images, model):
    return examples(source, "--images") if images is None else own_images(images, model)


@app.command()
def demo(
    out: Annotated[pathlib.Path, typer.Option(help="Folder for pictures and SavedModel.")],
    entry: Annotated[str, typer.Option(help="Name of an entry of the zoo.")] = "mnist_static",
):
    """Load a trained model, encode, reconstruct, sample, export, and compare in a fresh process."""
    from vlae_tf.cli import demo

    demo.run(entry, out, console)

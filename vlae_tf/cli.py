"""The `vlae-tf` command."""

import json
import os
import pathlib
import shlex
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

# Before TensorFlow is imported: its start-up notices would drown what the commands say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Variational Lossy Autoencoders: train, evaluate, sample, reconstruct, export.",
)
zoo_app = typer.Typer(no_args_is_help=True, help="The trained models that come with the package.")
app.add_typer(zoo_app, name="zoo")
console = Console()

Source = Annotated[str, typer.Argument(help="An entry of the zoo, or the folder of a run.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]
DataDir = Annotated[str | None, typer.Option(help="Where TFDS keeps its data.")]
Out = Annotated[pathlib.Path, typer.Option(help="Picture to write.")]
Dtype = Annotated[str, typer.Option(help="Policy of the convolutions: float32, or mixed_bfloat16.")]


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a JSON file.")],
    out: Annotated[pathlib.Path, typer.Option(help="Folder of the run.")],
    data_dir: DataDir = None,
    tensorboard: Annotated[bool, typer.Option(help="Also write TensorBoard logs.")] = False,
    quiet: Annotated[bool, typer.Option(help="One line an epoch, for log files.")] = False,
):
    """Train the model of a recipe.

    Started again with the same folder, an interrupted run goes on to the same result.
    """
    from vlae_tf import training

    training.train(
        training.Recipe.load(recipe),
        out,
        data_dir=data_dir,
        tensorboard=tensorboard,
        verbose=2 if quiet else 1,
        command=_command(),
    )
    console.print(f"Averaged weights, history and recipe are in {out}")


@app.command()
def evaluate(
    source: Source,
    split: Annotated[str, typer.Option(help="Split of the run's data set.")] = "test",
    importance_samples: Annotated[int, typer.Option(help="Codes drawn for each image.")] = 256,
    images: Annotated[int | None, typer.Option(help="Only so many, drawn at random.")] = None,
    control: Annotated[
        str | None, typer.Option(help="Run of the same decoder without a code, put beside.")
    ] = None,
    out: Annotated[
        pathlib.Path | None, typer.Option(help="File to write; metrics.json of the run if absent.")
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    dtype: Dtype = "float32",
):
    """Likelihood with its standard error, ELBO, KL, code bits, active units.

    Likelihoods with other numbers of images or samples that the file holds already are kept.
    An interrupted evaluation, started again with the same arguments, goes on.
    """
    from vlae_tf import evaluation, zoo

    folder = zoo.locate(source)
    with _progress() as progress:
        task = progress.add_task("images x samples")
        metrics = evaluation.evaluate_run(
            folder,
            out or folder / "metrics.json",
            split=split,
            importance_samples=importance_samples,
            num_images=images,
            control=control and zoo.locate(control),
            seed=seed,
            data_dir=data_dir,
            dtype=dtype,
            command=_command(),
            progress=lambda done, total: progress.update(
                task, completed=done, total=total, refresh=True
            ),
        )
    console.print_json(json.dumps(metrics))


@app.command()
def sample(
    source: Source,
    n: Annotated[int, typer.Option("--n", "-n", help="Number of images.")] = 64,
    temperature: Annotated[float, typer.Option(help="Scale of the prior's noise.")] = 1.0,
    out: Out = pathlib.Path("samples.png"),
    seed: Seed = 0,
    dtype: Dtype = "float32",
):
    """New images: a code from the prior, pixels from the decoder."""
    from vlae_tf import evaluation, zoo

    model = zoo.load_source(source, dtype)
    with console.status(f"Drawing {n} images"):
        evaluation.plot_samples(model.sample(n, seed=seed, temperature=temperature), out)
    console.print(f"{n} samples are in {out}")


@app.command()
def reconstruct(
    source: Source,
    images: Annotated[
        str | None,
        typer.Option(help="Own images (.npy, .npz or a folder); the entry's examples if absent."),
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="Number of images.")] = 10,
    out: Out = pathlib.Path("reconstructions.png"),
    seed: Seed = 0,
    dtype: Dtype = "float32",
):
    """Images beside several drawn from their codes: what stays the same is in the code."""
    from vlae_tf import datasets, evaluation, zoo

    model = zoo.load_source(source, dtype)
    if images is None:
        originals = zoo.examples(source)
    else:
        originals = datasets.load_arrays(images, image_shape=model.image_shape)
    with console.status(f"Reconstructing {n} images"):
        evaluation.plot_reconstructions(model, originals[:n], out, seed=seed)
    console.print(f"Reconstructions are in {out}")


@app.command()
def export(
    source: Source,
    folder: Annotated[pathlib.Path, typer.Argument(help="Holds one folder for each version.")],
    version: Annotated[int | None, typer.Option(help="The next free one if absent.")] = None,
    importance_samples: Annotated[int, typer.Option(help="Of the signature log_prob.")] = 16,
    dtype: Dtype = "float32",
):
    """Write a SavedModel for TensorFlow Serving."""
    from vlae_tf import serving, zoo

    model = zoo.load_source(source, dtype)
    with console.status("Writing the SavedModel"):
        path = serving.export(model, folder, version, importance_samples=importance_samples)
    console.print(f"The SavedModel is in {path}")


@app.command()
def demo(
    out: Annotated[pathlib.Path, typer.Option(help="Folder for pictures and SavedModel.")],
    entry: Annotated[str | None, typer.Option(help="An entry of the zoo.")] = None,
):
    """Load a trained model, encode, reconstruct, sample, export, and compare in a fresh process."""
    from vlae_tf import demo, zoo

    demo.run(entry or zoo.list("mnist*")[-1], out, console)


@zoo_app.command("list")
def zoo_list(pattern: Annotated[str, typer.Argument(help="A shell pattern.")] = "*"):
    """The entries, with their likelihoods."""
    from vlae_tf import zoo

    table = Table("entry", "test NLL", "code bits", "data set", "weights")
    for name in zoo.list(pattern):
        metrics = zoo.info(name)["metrics"]
        best = metrics["likelihood"][0]
        table.add_row(
            name,
            f"{best['nll']:.2f} nats",
            f"{best['code_bits']:.1f}",
            metrics["dataset"],
            f"{(zoo.folder(name) / 'model.weights.h5').stat().st_size / 1e6:.1f} MB",
        )
    console.print(table)


@zoo_app.command("info")
def zoo_info(name: Annotated[str, typer.Argument(help="An entry.")]):
    """The card of an entry."""
    from vlae_tf import zoo

    console.print(Markdown(zoo.info(name)["card"]))


@zoo_app.command("publish")
def zoo_publish(
    run: Annotated[pathlib.Path, typer.Argument(help="Folder of an evaluated run.")],
    folder: Annotated[pathlib.Path, typer.Argument(help="zoo/NAME, made or replaced.")],
    data_dir: DataDir = None,
):
    """Make a zoo entry of a run that `vlae-tf evaluate` has measured."""
    from vlae_tf import publishing

    publishing.publish(run, folder, data_dir=data_dir)
    console.print(f"The entry is in {folder}")


@zoo_app.command("table")
def zoo_table(
    readme: Annotated[
        pathlib.Path | None, typer.Option(help="A README.md whose results table to renew.")
    ] = None,
):
    """The results table, in Markdown, from the metrics of all entries."""
    from vlae_tf import publishing

    if readme is None:
        print(publishing.results_table(), end="")
    else:
        publishing.renew_table(readme)


def _progress():
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        # TFDS replaces Python's import for a moment; a thread that draws meanwhile would break.
        auto_refresh=False,
    )


def _command():
    """The command line, as it can be typed again."""
    return shlex.join(["vlae-tf", *sys.argv[1:]])


def main():
    """Entry point: errors that a user can mend are one line, not a traceback."""
    try:
        app()
    except (ValueError, OSError) as error:
        Console(stderr=True).print(
            f"[red]Error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True
        )
        sys.exit(1)

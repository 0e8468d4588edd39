"""The `vlae-tf` command."""

import json
import os
import pathlib
import shlex
import sys
from typing import Annotated

import numpy as np
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
    help="Variational Lossy Autoencoders: train, evaluate, sample, reconstruct, export, serve.",
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
def probe(
    source: Source,
    images: Annotated[int, typer.Option(help="Training images for the classifier.")] = 10_000,
    out: Annotated[
        pathlib.Path | None, typer.Option(help="File to write; probe.json of the run if absent.")
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    dtype: Dtype = "float32",
):
    """How much of an image's class a linear classifier reads off its code, and off its pixels."""
    from vlae_tf import evaluation, zoo

    with console.status("Encoding and classifying"):
        result = evaluation.probe_run(zoo.locate(source), out, images, seed, data_dir, dtype)
    table = Table("a linear classifier of", "accuracy", "±")
    for name in ("code", "pixels"):
        measured = result[name]
        table.add_row(name, f"{measured['accuracy']:.2%}", f"{measured['standard_error']:.2%}")
    console.print(table)


@app.command()
def tune(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a JSON file.")],
    out: Annotated[pathlib.Path, typer.Option(help="Folder of the search.")],
    latent_sizes: Annotated[
        str | None, typer.Option(help="Sizes of the code to try, such as 2,4,8,16,32,64.")
    ] = None,
    choose: Annotated[
        list[str] | None,
        typer.Option(
            help="A field of the recipe and values to try (JSON), such as "
            "model.prior_family.steps=1,2,4; may be given again for other fields."
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="At most so many; a grid tries all if absent, others 10.")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="nll, elbo, bits_per_dim, or rate_distortion.")
    ] = "nll",
    max_code_bits: Annotated[
        float | None, typer.Option(help="rate_distortion: the best nll within so many bits.")
    ] = None,
    algorithm: Annotated[str, typer.Option(help="grid, random, or bayesian.")] = "grid",
    epochs: Annotated[
        int | None, typer.Option(help="Of each trial; the recipe's if absent.")
    ] = None,
    images: Annotated[int, typer.Option(help="Validation images to compare trials on.")] = 1000,
    importance_samples: Annotated[int, typer.Option(help="Codes drawn for each image.")] = 16,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop then; the same command goes on with the search.")
    ] = None,
    chief: Annotated[
        str | None, typer.Option(help="host:port where this process hands trials to workers.")
    ] = None,
    worker: Annotated[
        bool, typer.Option("--worker", help="Run trials of the chief at that address.")
    ] = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    quiet: Annotated[bool, typer.Option(help="One line an epoch, for log files.")] = False,
):
    """Search with keras-tuner, first of all: how large should the code be?

    Started again with the same folder, an interrupted search goes on. Other fields:

    model.likelihood_family.network.blocks=1,3,5 (the window), model.prior_family.steps=1,2,4,
    objective.free_bits=0,4.0, model.encoder.filters=[16,32,32],[32,48,64]

    With --chief HOST:PORT, the process waits for workers: the same command with --worker added, as
    often as wanted, on machines that share the folder.
    """
    from vlae_tf import training, tuning

    choices = {} if latent_sizes is None else {"model.latent_dim": _values(latent_sizes)}
    for text in choose or ():
        path, equals, values = text.partition("=")
        if not equals or path in choices:
            raise ValueError(
                f"`choose` must be FIELD=VALUE,VALUE..., each field once. Received: choose={text!r}"
            )
        choices[path] = _values(values)
    results = tuning.tune(
        training.Recipe.load(recipe),
        choices,
        out,
        objective=objective,
        max_code_bits=max_code_bits,
        algorithm=algorithm,
        max_trials=trials,
        max_minutes=max_minutes,
        epochs=epochs,
        importance_samples=importance_samples,
        num_images=images,
        seed=seed,
        data_dir=data_dir,
        verbose=2 if quiet else 1,
        say=lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True),
        command=_command(),
        chief=chief,
        worker=worker,
    )
    if results is None:
        return
    console.print(_trials_table(results))
    for sentence in results.conclusion:
        console.print(sentence, soft_wrap=True)
    console.print(f"Table, curves, pictures and the best recipe are in {out / 'report.html'}")
    if results.best is None:
        raise typer.Exit(1)


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
    dtype: Annotated[
        str, typer.Option(help="Of the convolutions: float32, or bfloat16 where that is faster.")
    ] = "float32",
    xla: Annotated[bool, typer.Option(help="Compile the signatures with XLA, for GPUs.")] = False,
    png: Annotated[bool, typer.Option(help="Add signatures with pictures as PNG.")] = False,
    warmup: Annotated[
        bool, typer.Option(help="Add requests that the server answers before it takes others.")
    ] = False,
    warmup_images: Annotated[
        str | None,
        typer.Option(help="--warmup with these (.npy, .npz, a folder), not the entry's examples."),
    ] = None,
    batch_sizes: Annotated[
        str, typer.Option(help="Those that the server allows, for --warmup.")
    ] = "1,4,16,64",
):
    """Write a SavedModel for TensorFlow Serving."""
    from vlae_tf import datasets, serving, zoo

    model = zoo.load_source(source, "mixed_bfloat16" if dtype == "bfloat16" else dtype)
    images = None
    if warmup_images is not None:
        images = datasets.load_arrays(warmup_images, image_shape=model.image_shape)
    elif warmup:
        images = zoo.examples(source)
    with console.status("Writing the SavedModel"):
        path = serving.export(
            model,
            folder,
            version,
            importance_samples=importance_samples,
            xla=xla,
            png=png,
            warmup_images=images,
            batch_sizes=_integers("batch_sizes", batch_sizes),
        )
    console.print(f"The SavedModel is in {path}")


@app.command()
def serve(
    folder: Annotated[
        pathlib.Path | None,
        typer.Argument(help="Of a model's versions, or with such a folder for each model."),
    ] = None,
    models_config: Annotated[
        pathlib.Path | None,
        typer.Option(help="TensorFlow Serving's; FOLDER then stands for /models in it."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="0.0.0.0 lets every machine that reaches this one ask.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of gRPC; 0 is any free one.")] = 8500,
    rest_port: Annotated[int, typer.Option(help="Of REST; 0 is any free one.")] = 8501,
    poll_seconds: Annotated[float, typer.Option(help="Between looks for new versions.")] = 1.0,
    max_request_bytes: Annotated[int, typer.Option(help="Size of a request.")] = 16 * 2**20,
    batching: Annotated[
        pathlib.Path | None,
        typer.Option(help="TensorFlow Serving's batching parameters, to join requests."),
    ] = None,
):
    """Serve SavedModels on this machine, for development and tests.

    It speaks as TensorFlow Serving does. Production is TensorFlow Serving: see export/README.md.
    """
    import logging
    import signal
    import threading

    from vlae_tf import serving

    # Which versions come, and which cannot.
    logging.basicConfig(format="%(message)s")
    logging.getLogger("vlae_tf").setLevel(logging.INFO)
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    with serving.Server(
        folder, models_config, host, port, rest_port, poll_seconds, max_request_bytes, batching
    ) as server:
        names = ", ".join(server.manager.names()) or "no model yet"
        console.print(
            f"Serving {names} at {server.grpc_address} and {server.rest_address}; Ctrl+C ends it",
            soft_wrap=True,
        )
        ended.wait()


@app.command()
def client(
    address: Annotated[str, typer.Argument(help="grpc://host:port or http://host:port")],
    model: Annotated[str, typer.Argument(help="Its name on the server.")],
    signature: Annotated[
        str, typer.Argument(help="encode, decode, reconstruct, sample or log_prob.")
    ],
    images: Annotated[
        str | None, typer.Option(help="A picture, a .npy or .npz file, or a folder of pictures.")
    ] = None,
    codes: Annotated[pathlib.Path | None, typer.Option(help="A .npy file, to decode.")] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="Number of samples.")] = 16,
    temperature: Annotated[float, typer.Option(help="Scale of the prior's noise.")] = 1.0,
    seed: Seed = 0,
    out: Annotated[
        pathlib.Path | None,
        typer.Option(help="A .npy file or, for images, a picture; printed as JSON if absent."),
    ] = None,
    version: Annotated[int | None, typer.Option(help="The highest if absent.")] = None,
    label: Annotated[str | None, typer.Option(help="Of a version, such as stable.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that a request may take.")] = 60.0,
):
    """Ask a served model: TensorFlow Serving, or `vlae-tf serve`.

    For example, to encode images, and to draw new ones:

    vlae-tf client grpc://localhost:8500 mnist_dynamic encode --images digits.npy --out codes.npy

    vlae-tf client http://localhost:8501 mnist_dynamic sample --n 64 --out samples.png
    """
    from vlae_tf import evaluation, serving

    with serving.Client(address, model, version, label, timeout) as served:
        if signature in ("encode", "reconstruct", "log_prob"):
            arguments = [_images_to_ask(images, served)]
        elif signature == "decode":
            arguments = [_codes(codes)]
        elif signature == "sample":
            arguments = [n]
        else:
            raise ValueError(
                "`signature` must be encode, decode, reconstruct, sample or log_prob. "
                f"Received: signature={signature!r}"
            )
        options = {} if signature == "encode" else {"seed": seed}
        if signature == "sample":
            options["temperature"] = temperature
        with console.status(f"Asking {address}"):
            answer = getattr(served, signature)(*arguments, **options)
    if out is None:
        print(json.dumps(answer.tolist()))
        return
    if out.suffix == ".npy":
        np.save(out, answer)
    elif answer.ndim == 4:
        evaluation.plot_samples(answer, out)
    else:
        raise ValueError(f"`out` must be a .npy file for {signature}. Received: out={str(out)!r}")
    console.print(f"The answer, of shape {answer.shape}, is in {out}")


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
    page: Annotated[
        pathlib.Path | None, typer.Option(help="Write all that was measured to this file.")
    ] = None,
):
    """The results table, in Markdown, from the metrics of all entries."""
    from vlae_tf import results

    if readme is not None:
        results.renew_table(readme)
    if page is not None:
        results.write_page(page)
    if readme is None and page is None:
        print(results.results_table(), end="")


def _images_to_ask(source, served):
    """Images in the shape that the served model takes.

    For a binary model they are made of 0 and 1, half grey and more becoming 1.
    """
    from PIL import Image

    from vlae_tf import datasets

    if source is None:
        raise ValueError("`images` must be given for this signature. Received: images=None")
    shape = served.signatures()["encode"]["inputs"]["image"]["shape"][1:]
    if source.lower().endswith((".png", ".jpg", ".jpeg")):
        with Image.open(source) as file:
            picture = file.convert("L" if shape[2] == 1 else "RGB")
            picture = picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
        images = np.asarray(picture).reshape(1, *shape)
    else:
        images = datasets.load_arrays(source, image_shape=shape)
    whole = images.max() > 1 and served.levels() == 2
    return (images >= 128).astype("uint8") if whole else images


def _values(text):
    """Values in JSON with commas between."""
    try:
        return json.loads(f"[{text}]")
    except ValueError as error:
        raise ValueError(
            f"Values to try must be JSON with commas between, such as 2,4,8. Received: {text!r}"
        ) from error


def _trials_table(results):
    table = Table("trial", *results.space.short_names().values(), "NLL", "code bits", "active", "")
    for result in results:
        chosen = [json.dumps(value) for value in result.values.values()]
        figures = [
            f"{result.metrics[name]:.{digits}f}" if result.completed else ""
            for name, digits in (("nll", 2), ("code_bits", 1), ("active_units", 0))
        ]
        note = "" if result.completed else escape(result.error or result.status)
        table.add_row(result.trial, *chosen, *figures, "best" if result is results.best else note)
    return table


def _integers(name, text):
    """The integers of a list such as 1,4,16."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be integers with commas between. Received: {name}={text!r}"
        ) from error


def _codes(path):
    if path is None:
        raise ValueError("`codes` must be given to decode. Received: codes=None")
    return np.load(path, allow_pickle=False)


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
    except (ValueError, OSError, ImportError) as error:
        Console(stderr=True).print(
            f"[red]Error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True
        )
        sys.exit(1)

"""Commands that make a model and measure it."""

import itertools
import json
import pathlib
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from vlae_tf.cli.application import DataDir, Dtype, Seed, Source, app, command_line, console
from vlae_tf.cli.tables import print_table

Devices = Annotated[
    int | None,
    typer.Option(min=1, help="Number of devices that share each batch.", show_default="1"),
]


@app.command()
def recipes():
    """The package's recipes: number of weights, length, measured time, and data set.

    The time is that of the entry of the zoo with the same name, with the epochs it went on for
    beside it, on the hardware that its run.json names.
    """
    from vlae_tf import catalogue

    entries, sizes, rows = catalogue.entries(own=False), catalogue.recipe_sizes(), []
    for name in catalogue.recipe_names():
        recipe = catalogue.read_json(catalogue.RECIPES / f"{name}.json")
        measured = ("", "")
        if name in entries:
            measured = _measured(catalogue.read_entry(entries[name], "run"))
        size, epochs = f"{sizes[name]:,}", str(recipe["epochs"])
        rows.append([name, size, epochs, *measured, str(recipe["dataset"])])
    # These headings leave room for the names of data sets within 80 columns.
    print_table(["recipe", "weights", "epochs", "time", "over", "data set"], rows)
    console.print("Time: what the zoo's entry of that name took, over so many epochs.")


def _measured(record):
    """Time and number of all epochs of an entry: of its run, and of the runs that it continued."""
    from vlae_tf.records import epochs_and_seconds

    epochs, seconds = epochs_and_seconds(record)
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min", str(epochs)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a JSON file.")],
    out: Annotated[pathlib.Path, typer.Option(help="Folder of the run.")],
    control: Annotated[
        bool, typer.Option("--control", help="The same decoder without a code, to compare with.")
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(help="Length of the run, in place of the recipe's.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32 or mixed_bfloat16, in place of the recipe's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the run, in place of the recipe's.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Your images, a file or folder, in place of the recipe's.")
    ] = None,
    data_dir: DataDir = None,
    devices: Devices = None,
    tensorboard: Annotated[bool, typer.Option(help="Write TensorBoard logs too.")] = False,
    quiet: Annotated[bool, typer.Option(help="One line an epoch, for log files.")] = False,
):
    """Train the model of a recipe (`vlae-tf recipes` lists them).

    Run the same command again to continue an interrupted run, to the same result.
    """
    from vlae_tf import training
    from vlae_tf.runs import Recipe

    chosen = Recipe.load(recipe)
    if control:
        chosen = chosen.control()
    changes = {"epochs": epochs, "dtype": dtype, "seed": seed, "dataset": dataset}
    chosen = chosen.replace(**{k: v for k, v in changes.items() if v is not None})
    if not training.devices.cluster()[0]:
        # Workers must not ask TensorFlow for its devices before they have met.
        _tell_of_slow_policy(chosen.dtype)
    try:
        training.train(
            chosen,
            out,
            data_dir=data_dir,
            tensorboard=tensorboard,
            verbose=2 if quiet else 1,
            command=command_line(),
            devices=devices,
        )
    except KeyboardInterrupt:
        console.print("Interrupted. The same command continues after the last whole epoch.")
        raise
    console.print(f"Averaged weights, history and recipe are in {out}")


@app.command()
def evaluate(
    source: Source,
    split: Annotated[str, typer.Option(help="Split of the run's data set.")] = "test",
    importance_samples: Annotated[int, typer.Option(help="Codes drawn for each image.")] = 256,
    images: Annotated[
        int | None, typer.Option(help="Evaluate a random subset of this size.")
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="Folder of the control run, reported next to the model.")
    ] = None,
    information: Annotated[
        bool,
        typer.Option("--information", help="Mutual information of image and code too."),
    ] = False,
    out: Annotated[
        pathlib.Path | None,
        typer.Option(help="File to write; by default metrics.json of the run. An entry needs it."),
    ] = None,
    batch_size: Annotated[
        int,
        typer.Option(
            min=1,
            help="Pairs of image and code at once: with 1,024 small networks are faster, and the "
            "result is the same.",
        ),
    ] = 128,
    seed: Seed = 0,
    data_dir: DataDir = None,
    dtype: Dtype = "float32",
    devices: Devices = None,
):
    """Likelihood with its standard error, ELBO, KL, code bits, active units.

    Likelihoods that the file already holds, of other numbers of images or samples, are kept.
    Run the same command again to continue an interrupted evaluation.
    """
    from vlae_tf import catalogue, evaluation, training, zoo

    folder = zoo.locate(source)
    out = catalogue.result_file(folder, out, "metrics.json")
    _tell_of_slow_policy(dtype)
    with training.on_devices(devices or 1), _progress() as progress:
        task = progress.add_task("images x samples", visible=False)
        metrics = evaluation.evaluate_run(
            folder,
            out,
            split=split,
            importance_samples=importance_samples,
            num_images=images,
            control=control and zoo.locate(control, "control"),
            seed=seed,
            batch_size=batch_size,
            data_dir=data_dir,
            dtype=dtype,
            information=information,
            command=command_line(),
            progress=lambda done, total: progress.update(
                task, completed=done, total=total, visible=True, refresh=True
            ),
        )
    console.print_json(json.dumps(metrics))
    typer.echo(f"Written to {out}", err=True)


@app.command()
def probe(
    source: Source,
    images: Annotated[
        int, typer.Option(min=1, help="Number of training images for the classifier.")
    ] = 10_000,
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set of the images and classes; by default the run's own."),
    ] = None,
    classifier: Annotated[
        str,
        typer.Option(
            help="logistic_regression, or linear_discriminant_analysis for hundreds of classes."
        ),
    ] = "logistic_regression",
    out: Annotated[
        pathlib.Path | None,
        typer.Option(help="File to write; by default probe.json of the run. An entry needs it."),
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    dtype: Dtype = "float32",
):
    """Accuracy of a linear classifier that reads an image's class off its code, or its pixels."""
    from vlae_tf import evaluation, zoo

    with console.status("Encoding and classifying"):
        result = evaluation.probe_run(
            zoo.locate(source), out, images, seed, data_dir, dtype, dataset, classifier
        )
    table = Table(f"{classifier.replace('_', ' ')} of", "accuracy", "±")
    for name in ("code", "pixels"):
        measured = result[name]
        table.add_row(name, f"{measured['accuracy']:.2%}", f"{measured['standard_error']:.2%}")
    console.print(table)


@app.command()
def compare(
    sources: Annotated[
        list[str],
        typer.Argument(help="Entries or runs; the first is what the others are compared with."),
    ],
    page: Annotated[
        pathlib.Path | None,
        typer.Option(help="Page to update with the table; by default it is printed."),
    ] = None,
):
    """Evaluated runs side by side: likelihoods of the same images, KL, active units."""
    from vlae_tf import evaluation, zoo

    folders = [zoo.locate(source) for source in sources]
    if page is None:
        print(evaluation.comparison_table(folders), end="")
    else:
        evaluation.renew_comparison(page, folders)


@app.command()
def rungs(
    sources: Annotated[
        list[str], typer.Argument(help="Entries or runs; those of other seeds share a row.")
    ],
    page: Annotated[
        pathlib.Path | None,
        typer.Option(help="Page to update with the table; by default it is printed."),
    ] = None,
    images: Annotated[
        int, typer.Option(min=1, help="Number of training images to fit to.")
    ] = 10_000,
    neighbours: Annotated[int, typer.Option(min=1, help="Number of nearest neighbours.")] = 10,
    clusters: Annotated[int, typer.Option(min=1, help="Number of clusters of k-means.")] = 25,
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set of the images and classes; by default the run's own."),
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    dtype: Dtype = "float32",
):
    """What each rung of a code tells alone: class, slant, width of strokes, clusters.

    Writes rungs.json of each run. Of an entry of the zoo the published one is shown.
    """
    from vlae_tf import catalogue, evaluation, zoo

    folders = [zoo.locate(source) for source in sources]
    for folder in itertools.filterfalse(catalogue.published, folders):
        with console.status(f"Probing the rungs of {folder.name}"):
            evaluation.probe_rungs(
                folder, None, images, neighbours, clusters, seed, data_dir, dtype, dataset
            )
    if page is None:
        print(evaluation.rung_table(folders), end="")
    else:
        evaluation.renew_rung_table(page, folders)


@app.command()
def lossy(
    sources: Annotated[
        list[str], typer.Argument(help="Evaluated runs or entries with different windows.")
    ],
    out: Annotated[pathlib.Path, typer.Option(help="Folder for table and pictures.")],
    images: Annotated[int, typer.Option(help="Number of columns of the picture.")] = 8,
    draws: Annotated[int, typer.Option(help="Number of images drawn from each code.")] = 3,
    seed: Seed = 0,
    data_dir: DataDir = None,
):
    """Compare windows: likelihood, bits of the code, and images drawn from one code."""
    from vlae_tf import evaluation, zoo

    folders = {pathlib.Path(source).name: zoo.locate(source) for source in sources}
    if len(folders) < len(sources):
        raise ValueError(
            "`sources` must have different names, the last parts of their paths. "
            f"Received: {', '.join(sources)}"
        )
    with console.status("Drawing images from their codes"):
        evaluation.compare_windows(folders, out, images, draws, seed, data_dir)
    print((out / "table.md").read_text(encoding="utf-8"))
    console.print(f"Table and pictures are in {out}")


@app.command()
def tune(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a JSON file.")],
    out: Annotated[pathlib.Path, typer.Option(help="Folder of the search.")],
    latent_sizes: Annotated[
        str | None, typer.Option(help="Sizes of the code to try, such as 2,4,8,16,32,64.")
    ] = None,
    choose: Annotated[
        list[str] | None,
        typer.Option(
            help="A field of the recipe and the values to try (JSON), such as "
            "model.prior_family.steps=1,2,4; repeat the option for more fields."
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Largest number of trials; by default all of a grid, 10 of the others."),
    ] = None,
    objective: Annotated[
        str, typer.Option(help="nll, elbo, bits_per_dim, or rate_distortion.")
    ] = "nll",
    max_code_bits: Annotated[
        float | None, typer.Option(help="Limit of rate_distortion: the longest code, in bits.")
    ] = None,
    algorithm: Annotated[str, typer.Option(help="grid, random, or bayesian.")] = "grid",
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of each trial; by default the recipe's.")
    ] = None,
    images: Annotated[int, typer.Option(help="Validation images to compare trials on.")] = 1000,
    importance_samples: Annotated[int, typer.Option(help="Codes drawn for each image.")] = 16,
    max_minutes: Annotated[
        float | None,
        typer.Option(help="Time limit in minutes; run the same command again to continue."),
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    quiet: Annotated[bool, typer.Option(help="One line an epoch, for log files.")] = False,
):
    """Search over fields of a recipe with keras-tuner. First of all: how large should the code be?

    Run the same command again to continue an interrupted search. Other fields to search over:

    model.likelihood_family.network.blocks=1,3,5 (the window), model.prior_family.steps=1,2,4,
    objective.free_bits=0,4.0, model.encoder.filters=[16,32,32],[32,48,64]

    Several processes can share a search: run the same command in each, in one folder, with
    keras-tuner's variables KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT, and with
    KERASTUNER_TUNER_ID=chief in one and a name of its own in each of the others.
    """
    from vlae_tf import tuning
    from vlae_tf.runs import Recipe

    choices = {} if latent_sizes is None else {"model.latent_dim": _values(latent_sizes)}
    for text in choose or ():
        path, equals, values = text.partition("=")
        if not equals or path in choices:
            raise ValueError(
                f"`choose` must be FIELD=VALUE,VALUE..., each field once. Received: choose={text!r}"
            )
        choices[path] = _values(values)
    results = tuning.tune(
        Recipe.load(recipe),
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
        command=command_line(),
    )
    if results is None:
        return
    console.print(_trials_table(results))
    for sentence in results.conclusion:
        console.print(sentence, soft_wrap=True)
    console.print(f"Table, curves, pictures and the best recipe are in {out / 'report.html'}")
    if results.best is None:
        raise typer.Exit(1)


def _values(text):
    """Values in JSON with commas between."""
    try:
        return json.loads(f"[{text}]")
    except ValueError as error:
        raise ValueError(
            f"Values to try must be JSON with commas between, such as 2,4,8. Received: {text!r}"
        ) from error


def _trials_table(results):
    names, nll = results.space.short_names().values(), f"NLL ({results.unit})"
    table = Table("trial", *names, nll, "code bits", "active", "")
    for result in results:
        chosen = [json.dumps(value) for value in result.values.values()]
        figures = [""] * 3
        if metrics := result.metrics:
            figures = [
                results.told(result, metrics["nll"]),
                f"{metrics['code_bits']:.1f}",
                f"{metrics['active_units']:.0f}",
            ]
        note = "" if result.completed else escape(result.error or result.status)
        table.add_row(result.trial, *chosen, *figures, "best" if result is results.best else note)
    return table


def _tell_of_slow_policy(dtype):
    """On stderr, so that what a command prints stays what it measured."""
    from vlae_tf.training.slow_policy import slow_policy_notice

    if notice := slow_policy_notice(dtype):
        Console(stderr=True).print(f"[yellow]Note:[/yellow] {notice}", highlight=False)


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

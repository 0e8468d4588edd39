"""Commands for the models that come with the package."""

import pathlib
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.table import Table

from vlae_tf.cli.application import DataDir, app, console

zoo_app = typer.Typer(no_args_is_help=True, help="The trained models that come with the package.")
app.add_typer(zoo_app, name="zoo")


@zoo_app.command("list")
def zoo_list(pattern: Annotated[str, typer.Argument(help="A shell pattern.")] = "*"):
    """List the entries with their likelihoods."""
    from vlae_tf import zoo
    from vlae_tf.evaluation.units import rounded, unit

    table = Table("entry", "test NLL", "code bits", "data set", "weights")
    for name in zoo.list(pattern):
        metrics = zoo.info(name)["metrics"]
        best = metrics["likelihood"][0]
        table.add_row(
            name,
            f"{rounded(best['nll'], metrics)} {unit(metrics)}",
            f"{best['code_bits']:.1f}",
            metrics["dataset"],
            f"{(zoo.folder(name) / 'model.weights.h5').stat().st_size / 1e6:.1f} MB",
        )
    console.print(table)


@zoo_app.command("info")
def zoo_info(name: Annotated[str, typer.Argument(help="Name of an entry.")]):
    """Show the card of an entry."""
    from vlae_tf import zoo

    console.print(Markdown(zoo.info(name)["card"]))


@zoo_app.command("publish")
def zoo_publish(
    run: Annotated[pathlib.Path, typer.Argument(help="Folder of an evaluated run.")],
    folder: Annotated[
        pathlib.Path, typer.Argument(help="Folder of the entry, zoo/NAME; made or replaced.")
    ],
    data_dir: DataDir = None,
):
    """Make a zoo entry of a run that `vlae-tf evaluate` has evaluated.

    The entry's weights are float16, half the size.
    """
    from vlae_tf.zoo import publishing

    publishing.publish(run, folder, data_dir=data_dir)
    console.print(f"The entry is in {folder}")


@zoo_app.command("table")
def zoo_table(
    readme: Annotated[
        pathlib.Path | None, typer.Option(help="README.md to update with the table.")
    ] = None,
    page: Annotated[
        pathlib.Path | None, typer.Option(help="File for the page of all evaluations.")
    ] = None,
):
    """Write the results table, Markdown, from the metrics of all entries; print it by default."""
    from vlae_tf.zoo import tables

    if readme is not None:
        tables.renew_table(readme)
    if page is not None:
        tables.write_page(page)
    if readme is None and page is None:
        print(tables.results_table(), end="")

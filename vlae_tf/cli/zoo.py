"""Commands about the models that come with the package."""

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
    """The entries, with their likelihoods."""
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
    from vlae_tf.zoo import publishing

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
    from vlae_tf.zoo import tables as results

    if readme is not None:
        results.renew_table(readme)
    if page is not None:
        results.write_page(page)
    if readme is None and page is None:
        print(results.results_table(), end="")

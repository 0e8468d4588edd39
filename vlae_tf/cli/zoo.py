"""Commands for the models that come with the package."""

import pathlib
from typing import Annotated

import typer

from vlae_tf.cli.application import DataDir, app, console
from vlae_tf.cli.tables import print_table

zoo_app = typer.Typer(no_args_is_help=True, help="The trained models that come with the package.")
app.add_typer(zoo_app, name="zoo")


@zoo_app.command("list")
def zoo_list(pattern: Annotated[str, typer.Argument(help="A shell pattern.")] = "*"):
    """List the entries: sizes of image, code and window (in pixels), likelihood, bits of the code.

    Piped, the columns have tabs between, and no width.
    """
    from vlae_tf import catalogue
    from vlae_tf.records import read_metrics
    from vlae_tf.units import rounded, unit

    rows = []
    for name in catalogue.entry_names(pattern):
        folder = catalogue.locate(name)
        if not (folder / "entry.json").is_file():
            rows.append([name, *[""] * 3, "a run, not published", ""])
            continue
        entry, metrics = (
            catalogue.read_entry(folder, "entry"),
            read_metrics(folder / "metrics.json"),
        )
        best = metrics["likelihood"][0]
        rows.append(
            [
                name,
                "x".join(map(str, entry["image_shape"])),
                str(entry["latent_dim"]),
                f"{entry['window_pixels']} px" if entry["window_pixels"] else "none",
                f"{rounded(best['nll'], metrics)} {unit(metrics)}"
                + ("" if metrics["split"] == "test" else f", {metrics['split']}"),
                f"{best['code_bits']:.1f}",
            ]
        )
    print_table(["entry", "image", "code", "window", "NLL", "code bits"], rows)


@zoo_app.command("info")
def zoo_info(name: Annotated[str, typer.Argument(help="Name or folder of an entry.")]):
    """Show the card of an entry."""
    from rich.markdown import Markdown

    from vlae_tf import catalogue

    card = catalogue.read_card(catalogue.locate(name, "name"))
    # The front matter is for the Hugging Face Hub.
    text = card.removeprefix("---").partition("\n---\n")[2] or card
    # A terminal shows no pictures.
    lines = (line for line in text.splitlines() if not line.startswith("!["))
    console.print(Markdown("\n".join(lines)))


@zoo_app.command("publish")
def zoo_publish(
    run: Annotated[pathlib.Path, typer.Argument(help="Folder of an evaluated run.")],
    folder: Annotated[
        pathlib.Path, typer.Argument(help="Folder of the entry, zoo/NAME; made or replaced.")
    ],
    licence: Annotated[
        str | None,
        typer.Option("--licence", "--license", help="SPDX name, such as MIT; else not stated."),
    ] = None,
    data_dir: DataDir = None,
):
    """Make a zoo entry of a run that `vlae-tf evaluate` has evaluated.

    The entry's weights are float16, half the size, where that leaves the likelihood. It holds 64
    test images as examples, and the paths in its recipe, card and commands as they are. With its
    parent folder in the environment variable VLAE_TF_ZOO it is found by name.
    """
    from vlae_tf.zoo import publishing

    publishing.publish(run, folder, data_dir=data_dir, licence=licence)
    console.print(f"The entry is in {folder}, and loads with vlae_tf.zoo.load({str(folder)!r})")


@zoo_app.command("table")
def zoo_table(
    readme: Annotated[
        pathlib.Path | None, typer.Option(help="README.md to update with the table.")
    ] = None,
    page: Annotated[
        pathlib.Path | None, typer.Option(help="File for the page of all evaluations.")
    ] = None,
    cards: Annotated[bool, typer.Option("--cards", help="Write the cards of all entries.")] = False,
):
    """Write the results table, Markdown, from the metrics of all entries; print it by default."""
    from vlae_tf.zoo import tables

    if readme is not None:
        tables.renew_table(readme)
    if page is not None:
        tables.write_page(page)
    if cards:
        from vlae_tf.zoo import publishing

        publishing.renew_cards()
    if readme is None and page is None and not cards:
        print(tables.results_table(), end="")

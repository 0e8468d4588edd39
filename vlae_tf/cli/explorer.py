"""The command that opens a page."""

from typing import Annotated

import typer

from vlae_tf.cli.application import app, console


@app.command()
def explore(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Entries of the zoo, or folders of runs; by default the zoo's."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any free one.")] = 8600,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
):
    """Look at what codes keep: draw, choose or drop an image, turn the window, drag the code."""
    from vlae_tf import explorer, zoo

    explorer.explore(
        sources or zoo.list(),
        port,
        open_browser=browser,
        ready=lambda address: console.print(f"The page is at {address} (Ctrl-C ends it)"),
    )

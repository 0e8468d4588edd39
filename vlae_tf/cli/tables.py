from rich.table import Table

from vlae_tf.cli.application import console


def print_table(columns, rows):
    """A table for people on a terminal; lines of values with tabs between, where it is piped.

    The first column holds names, which are never cut.
    """
    if not console.is_terminal:
        for row in (columns, *rows):
            print("\t".join(row))
        return
    table = Table()
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=not index, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)

from rich import box
from rich.table import Table

from vlae_tf.cli.application import console


def print_table(columns, rows):
    """A table for people on a terminal; lines of values with tabs between, where it is piped.

    The last column alone is wrapped where the terminal is narrow.
    """
    if not console.is_terminal:
        for row in (columns, *rows):
            print("\t".join(row))
        return
    widths = [max(map(len, values)) for values in zip(columns, *rows, strict=True)]
    between = int(sum(widths) + 2 * (len(widths) - 1) <= console.width)
    padding = (0, between, 0, 0)
    table = Table(box=box.SIMPLE_HEAD, padding=padding, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)

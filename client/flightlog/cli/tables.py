"""Lists as columns: each column says what a program reads, and what a person sees."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from flightlog.cli.text import UNKNOWN, one_line

Row = TypeVar("Row")

_LEAST_CHARS: Final = 12
"""What a column keeps that gives way on a narrow terminal: others are cut short before it is gone."""


@dataclass(frozen=True, kw_only=True)
class Column(Generic[Row]):
    """One column of a list.

    Attributes:
        head: Its heading on a terminal.
        value: What a program reads; None is unknown.
        seen: What a person sees instead.
        style: Colour of a cell.
        right: Aligned to the right.
        wraps: Gives way on a narrow terminal by taking more lines; the others keep their width.
    """

    head: str
    value: Callable[[Row], str | None]
    seen: Callable[[Row], str | None] | None = None
    style: Callable[[Row], str | None] | None = None
    right: bool = False
    wraps: bool = False


def show_table(columns: Sequence[Column[Row]], rows: Iterable[Row], *, colored: bool) -> None:
    """Write a table to the terminal, as wide as that is.

    Args:
        columns: What to show of each row.
        rows: The rows.
        colored: Whether colour is wanted.
    """
    # Imported here, for it takes longer than asking the daemon.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            column.head,
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            min_width=_LEAST_CHARS if column.wraps else len(column.head),
            overflow="fold" if column.wraps else "ellipsis",
        )
    for row in rows:
        cells = []
        for column in columns:
            value = (column.seen or column.value)(row)
            style = column.style(row) if column.style is not None else None
            cells.append(Text(UNKNOWN if value is None else one_line(value), style=style or ""))
        table.add_row(*cells)
    Console(
        file=sys.stdout,
        force_terminal=True,
        color_system="auto" if colored else None,
        highlight=False,
        markup=False,
        emoji=False,
    ).print(table)

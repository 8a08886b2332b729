"""Lists as columns: each column says what a program reads, and what a person sees."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from msgspec import Struct

from flightlog.cli.text import UNKNOWN, cells, one_line

Row = TypeVar("Row")

_LEAST_CHARS: Final = 16
"""What a column keeps that gives way on a narrow terminal: before it gets narrower, others are left out."""
_GAP_CHARS: Final = 2


class Column(Struct, Generic[Row], frozen=True, kw_only=True):
    """One column of a list.

    Attributes:
        head: Its heading on a terminal.
        value: What a program reads; None is unknown.
        seen: What a person sees instead.
        style: Colour of a cell.
        right: Aligned to the right.
        wraps: Gives way on a narrow terminal by taking more lines; the others keep their width.
        spare: Where there is no room for all, the highest is left out first, of equals the one at the right.
    """

    head: str
    value: Callable[[Row], str | None]
    seen: Callable[[Row], str | None] | None = None
    style: Callable[[Row], str | None] | None = None
    right: bool = False
    wraps: bool = False
    spare: int = 0


def show_table(columns: Sequence[Column[Row]], rows: Iterable[Row], *, colored: bool) -> None:
    """Write a table to the terminal, as wide as that is.

    Where there is no room for all columns, some are left out, and stderr says which.

    Args:
        columns: What to show of each row.
        rows: The rows.
        colored: Whether colour is wanted.
    """
    # Imported here, for it takes longer than asking the daemon.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(
        file=sys.stdout,
        force_terminal=True,
        color_system="auto" if colored else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    told = [[_cell(column, row) for column in columns] for row in rows]
    widths = [
        max([len(column.head), *(cells(line[place][0]) for line in told)])
        for place, column in enumerate(columns)
    ]
    kept = _kept(columns, widths, console.width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP_CHARS, 0, 0), header_style="bold")
    for place in kept:
        column = columns[place]
        table.add_column(
            column.head,
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            min_width=min(widths[place], _LEAST_CHARS) if column.wraps else len(column.head),
            overflow="fold" if column.wraps else "ellipsis",
        )
    for line in told:
        table.add_row(*(Text(text, style=style) for text, style in (line[place] for place in kept)))
    console.print(table)
    if len(kept) < len(columns):
        sys.stdout.flush()
        missing = ", ".join(column.head for place, column in enumerate(columns) if place not in kept)
        print(f"no room for {missing}: a wider terminal shows it, and so does --json", file=sys.stderr)


def _cell(column: Column[Row], row: Row) -> tuple[str, str]:
    """Return what a person sees, and its colour."""
    value = (column.seen or column.value)(row)
    style = column.style(row) if column.style is not None else None
    return UNKNOWN if value is None else one_line(value), style or ""


def _kept(columns: Sequence[Column[Row]], widths: Sequence[int], width_chars: int) -> list[int]:
    """Return the places of the columns that fit; the first stays, and so do those that can wrap."""
    needed = [
        min(width, _LEAST_CHARS) if column.wraps else width
        for column, width in zip(columns, widths, strict=True)
    ]
    kept = list(range(len(columns)))
    for place in sorted(range(1, len(columns)), key=lambda one: (columns[one].spare, one), reverse=True):
        if sum(needed[one] + _GAP_CHARS for one in kept) - _GAP_CHARS <= width_chars:
            break
        if not columns[place].wraps:
            kept.remove(place)
    return kept

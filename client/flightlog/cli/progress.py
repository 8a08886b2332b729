"""A bar on stderr while something long goes on; nothing where stderr is no terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Moves a bar on."""

    def __call__(self, size_bytes: int, /) -> None:
        """Take so many bytes more as done."""


@contextmanager
def progress(what: str, total_bytes: int | None) -> Iterator[Advance]:
    """Show a bar for as long as the block runs.

    Args:
        what: What goes on.
        total_bytes: How much there is to do; None where nobody knows.
    """
    if not sys.stderr.isatty():
        yield unseen
        return
    # Here, for rich takes a while to be imported, and programs do without.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=total_bytes)

        def advance(size_bytes: int, /) -> None:
            bar.advance(task, size_bytes)

        yield advance


def unseen(_size_bytes: int, /) -> None:
    """Show nothing."""

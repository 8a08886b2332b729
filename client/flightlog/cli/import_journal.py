"""`flightlog import journal`: what units wrote to systemd's journal, and how they ended."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, Final

from flightlog.cli.busy import BusyNotice
from flightlog.cli.progress import Advance, progress
from flightlog.cli.verb import Session
from flightlog.encode import encode_line
from flightlog.errors import EXIT_FAILURE
from flightlog.importing.journal import OWN, NoEntryError, Units, entry_of
from flightlog.importing.journalctl import Choice, CursorFile, Journal
from flightlog.importing.ship import Item, Settled, Shipment, Tally
from flightlog.importing.sources import lines_of, size_of
from flightlog.paths import ingest_socket

_STDIN: Final = Path("-")
_SHOWN_LIMIT: Final = 100
"""Most failures that are named one by one."""
_SAVE_INTERVAL_S: Final = 1.0


def import_journal(
    session: Session,
    paths: tuple[Path, ...],
    choice: Choice,
    cursor_file: Path | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Tell the daemon what a journal holds, write what became of it, and return the exit code.

    Raises:
        FlightlogError: journalctl or the file of the cursor failed.
        DaemonAway: nobody listens, or the connection broke; what was settled is on disk.
        AppendFailed: the daemon ended the connection and said why.
    """
    cursors = CursorFile(cursor_file)
    stdin = not paths or paths == (_STDIN,)
    with progress("import", None if stdin else size_of(paths)) as advance:
        run = _Run(session, cursors, advance)
        if paths:
            run.send(run.items(_lines(run, paths)), dry_run=dry_run)
            stopped_by = None
        else:
            choice.after = cursors.read()
            journal = Journal(choice)
            with journal.lines() as lines:
                run.send(run.items(("journal", line) for line in lines), dry_run=dry_run)
            stopped_by = journal.stopped_by
    output = session.output()
    if as_json:
        output.json({**run.summary(), "dry_run": dry_run})
    else:
        output.line(run.sentence(dry_run=dry_run))
    if stopped_by == signal.SIGINT:
        raise KeyboardInterrupt
    return EXIT_FAILURE if run.entries.failed else 0


def _lines(run: "_Run", paths: tuple[Path, ...]) -> Iterator[tuple[str, bytes | None]]:
    for path in paths:
        try:
            opened = nullcontext(sys.stdin.buffer) if path == _STDIN else path.open("rb")
            with opened as stream:
                yield from _of(str(path), stream)
        except OSError as error:
            run.fail(str(path), error.strerror or str(error))


def _of(where: str, stream: BinaryIO) -> Iterator[tuple[str, bytes | None]]:
    for number, line in enumerate(lines_of(stream), 1):
        yield f"{where}:{number}", line or b""


class _Run:
    """What has become of every entry so far."""

    def __init__(self, session: Session, cursors: CursorFile, advance: Advance) -> None:
        self.entries = Tally()
        self.own = 0
        self._session = session
        self._cursors = cursors
        self._advance = advance
        self._save_at = time.monotonic() + _SAVE_INTERVAL_S
        self._last: str | None = None

    def items(self, lines: Iterator[tuple[str, bytes | None]]) -> Iterator[Item | None]:
        """Yield the events of each entry as an item; None where nothing more is there for now."""
        units = Units()
        for where, line in lines:
            if line is None:
                yield None
                continue
            if line.isspace():
                continue
            try:
                entry = entry_of(line)
            except NoEntryError as error:
                self.fail(where, str(error) if line else "it is too long")
                continue
            if OWN in entry.fields:
                self.own += 1
                continue
            told = [encode_line(event) for event in units.events(entry)]
            yield Item(where, entry.cursor, [event for event in told if event is not None], len(line))

    def send(self, items: Iterator[Item | None], *, dry_run: bool) -> None:
        """Send all items, or with `dry_run` only count them."""
        if dry_run:
            self.entries.added = sum(item is not None for item in items)
            return
        ingest = ingest_socket(self._session.daemon.directory)
        Shipment(self._settled).send(ingest, items, BusyNotice(self._session.say))
        if self._last is not None:
            self._cursors.write(self._last)

    def fail(self, where: str, why: str) -> None:
        """Name what cannot be told, and count it."""
        self.entries.failed += 1
        if self.entries.failed <= _SHOWN_LIMIT:
            self._session.say(f"{where}: {why}")
        elif self.entries.failed == _SHOWN_LIMIT + 1:
            self._session.say("more follow, which are only counted")

    def summary(self) -> dict[str, object]:
        """Return all counts."""
        return {"entries": self.entries.shown(), "own": self.own}

    def sentence(self, *, dry_run: bool) -> str:
        """Return all counts for a person."""
        count = self.entries
        own = f"; {self.own:,} of flightlog's own passed over" if self.own else ""
        failed = f", {count.failed:,} failed"
        if dry_run:
            return f"{count.added:,} entries would be sent{failed if count.failed else ''}{own}"
        return f"{count.total:,} entries: {count.added:,} added, {count.skipped:,} skipped{failed}{own}"

    def _settled(self, settled: Settled) -> None:
        self._advance(settled.item.size_bytes)
        if settled.refused:
            self.fail(settled.item.where, "; ".join(settled.refused))
        elif settled.added:
            self.entries.added += 1
        else:
            self.entries.skipped += 1
        self._last = settled.item.kind
        if time.monotonic() >= self._save_at:
            self._cursors.write(self._last)
            self._save_at = time.monotonic() + _SAVE_INTERVAL_S

"""`flightlog import cloudevents`: CloudEvents in files, one or an array of them on a line."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import msgspec

from flightlog.cli.busy import BusyNotice
from flightlog.cli.progress import Advance, progress
from flightlog.cli.verb import Session
from flightlog.cloudevents import event_of
from flightlog.encode import encode_line
from flightlog.errors import EXIT_FAILURE
from flightlog.importing.ship import Item, Settled, Shipment, Tally
from flightlog.importing.sources import LINE_LIMIT_BYTES, files_of, lines_of, size_of
from flightlog.paths import ingest_socket

ABOUT: Final = "CloudEvents 1.0 as JSON, one or an array of them on a line"

_STDIN: Final = Path("-")
_SHOWN_LIMIT: Final = 100
"""Most failures that are named one by one."""


def import_cloudevents(session: Session, paths: tuple[Path, ...], *, dry_run: bool, as_json: bool) -> int:
    """Tell the daemon what files hold, write what became of it, and return the exit code.

    Raises:
        DaemonAway: nobody listens, or the connection broke; what was settled is on disk.
        AppendFailed: the daemon ended the connection and said why.
    """
    with progress("import", None if paths == (_STDIN,) else size_of(paths)) as advance:
        run = _Run(session, advance)
        items = run.items(paths)
        if dry_run:
            run.events.added = sum(1 for _ in items)
        else:
            shipment = Shipment(run.settled)
            shipment.send(ingest_socket(session.daemon.directory), items, BusyNotice(session.say))
    output = session.output()
    summary = {"events": run.events.shown(), "passed_over": run.passed_over, "dry_run": dry_run}
    if as_json:
        output.json(summary)
    else:
        output.line(run.sentence(dry_run=dry_run))
    return EXIT_FAILURE if run.events.failed else 0


class _Run:
    """What has become of every event so far."""

    def __init__(self, session: Session, advance: Advance) -> None:
        self.events = Tally()
        self.passed_over = 0
        """What another daemon said of itself."""
        self._session = session
        self._advance = advance

    def items(self, paths: tuple[Path, ...]) -> Iterator[Item]:
        """Yield each event as an item."""
        for path in [path for path in paths if path == _STDIN] or files_of(paths):
            try:
                with nullcontext(sys.stdin.buffer) if path == _STDIN else path.open("rb") as stream:
                    for number, line in enumerate(lines_of(stream), 1):
                        yield from self._of(f"{path}:{number}", line)
            except OSError as error:
                self._fail(str(path), error.strerror or str(error))

    def _of(self, where: str, line: bytes | None) -> Iterator[Item]:
        if line is None:
            self._fail(where, f"over {LINE_LIMIT_BYTES:,} bytes")
            return
        if line.isspace():
            return
        try:
            found: Any = msgspec.json.decode(line)
        except (ValueError, RecursionError) as error:
            self._fail(where, f"no JSON: {error}")
            return
        values = found if isinstance(found, list) else [found]
        for value in values:
            try:
                event = event_of(value)
            except ValueError as error:
                self._fail(where, f"no CloudEvent: {error}")
                continue
            told = None if event is None else encode_line(event)
            if event is None:
                self.passed_over += 1
            elif told is None:
                self._fail(where, "it holds what JSON cannot say")
            else:
                yield Item(where, "event", [told], len(line) // len(values))

    def settled(self, settled: Settled) -> None:
        """Count an event."""
        self._advance(settled.item.size_bytes)
        self.events.added += settled.added
        self.events.skipped += settled.skipped
        for reason in settled.refused:
            self._fail(settled.item.where, reason)

    def _fail(self, where: str, why: str) -> None:
        self.events.failed += 1
        if self.events.failed <= _SHOWN_LIMIT:
            self._session.say(f"{where}: {why}")
        elif self.events.failed == _SHOWN_LIMIT + 1:
            self._session.say("more follow, which are only counted")

    def sentence(self, *, dry_run: bool) -> str:
        """Return all counts for a person."""
        count = self.events
        own = f"; {self.passed_over:,} of a daemon itself passed over" if self.passed_over else ""
        if dry_run:
            failed = f"; {count.failed:,} failed" if count.failed else ""
            return f"{count.added:,} events would be sent{failed}{own}"
        return f"events: {count.added:,} added, {count.skipped:,} skipped, {count.failed:,} failed{own}"

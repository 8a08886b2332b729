"""`flightlog emit`: event lines from a file or a pipe."""

import os
import select
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from flightlog.append import append
from flightlog.capture.split import LineSplitter, RawLine
from flightlog.cli.busy import BusyNotice
from flightlog.cli.text import cut
from flightlog.cli.verb import Session, verb
from flightlog.daemon import ACK_LIMIT_S
from flightlog.errors import EXIT_USAGE
from flightlog.importing.sources import LINE_LIMIT_BYTES, without_mark
from flightlog.paths import ingest_socket
from flightlog_schemas.wire.ingest import Refused

READ_BYTES: Final = 256 * 1024

REASON_LIMIT_CHARS: Final = 500

SHOWN_LIMIT: Final = 100
"""Most refused lines that are named one by one."""


@verb(
    "emit",
    "flightlog emit events.jsonl",
    """echo '{"type":"deploy.done","execution_id":"build-7","host":"a1"}' | flightlog emit""",
)
@click.argument("file", metavar="[FILE|-]", default="-")
def command(session: Session, file: str) -> int:
    """Append event lines from a file or a pipe.

    One JSON object a line; returns once all are on disk. Any size in constant memory. Refused lines are
    reported with their line numbers, the first hundred of them, the others are stored; exit code 3 if any
    was refused.
    """
    if file == "-":
        return _emit(session, 0)
    with Path(file).open("rb") as stream:
        return _emit(session, stream.fileno())


def _emit(session: Session, descriptor: int) -> int:
    source = Source(session, descriptor)

    def report(refused: Refused) -> None:
        source.report(source.line_number(refused.line), refused.code, refused.reason)

    done = append(
        ingest_socket(session.daemon.directory),
        source,
        timeout_s=ACK_LIMIT_S,
        on_busy=BusyNotice(session.say),
        on_refused=report,
    )
    refused_count = done.refused_count + source.refused_count
    stored = done.lines - done.refused_count - done.duplicate_count
    summary = [f"{stored:,} stored"]
    if done.duplicate_count:
        summary.append(f"{done.duplicate_count:,} known already")
    if refused_count:
        summary.append(f"{refused_count:,} refused")
    session.say(", ".join(summary))
    return EXIT_USAGE if refused_count else 0


class Source:
    """Lines of a stream, and where they stood in it: the daemon does not count blank ones."""

    def __init__(self, session: Session, descriptor: int) -> None:
        self.refused_count = 0
        self._session = session
        self._descriptor = descriptor
        self._said = 0
        # Where the two counts part: after so many sent lines, so many more lines were left out.
        self._sent_before = array("Q", [0])
        self._left_out = array("Q", [0])

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines that the daemon should judge, and an empty one when no more come for a while."""
        number = sent = 0
        for line in self._lines():
            if line is None:
                yield b""
                continue
            number += 1
            data = without_mark(line.data) if number == 1 else line.data
            if line.skipped_chars:
                self._refuse(number, "too_long", f"over {LINE_LIMIT_BYTES:,} bytes")
            elif data.lstrip().startswith((b'{"hello"', b'{"bye"')):
                self._refuse(number, "invalid", "a line of the protocol, no event")
            elif data and not data.isspace():
                sent += 1
                yield data
                continue
            self._leave_out(sent)

    def _lines(self) -> Iterator[RawLine | None]:
        """Yield lines as they come, and None before waiting for more."""
        splitter = LineSplitter(LINE_LIMIT_BYTES)
        ready = select.poll()
        ready.register(self._descriptor, select.POLLIN)
        while True:
            if not ready.poll(0):
                yield None
            data = os.read(self._descriptor, READ_BYTES)
            if not data:
                break
            yield from splitter.feed(data)
        yield from splitter.finish()

    def line_number(self, sent: int) -> int:
        """Return which line of the stream the nth sent one was."""
        at = bisect_right(self._sent_before, sent - 1) - 1
        return sent + self._left_out[at]

    def report(self, number: int, code: str, reason: str) -> None:
        """Tell a person that a line was refused; of very many, that there are more."""
        self._said += 1
        if self._said <= SHOWN_LIMIT:
            self._session.say(f"line {number} refused, {code}: {cut(reason, REASON_LIMIT_CHARS)}")
        elif self._said == SHOWN_LIMIT + 1:
            self._session.say("more follow; they are only counted")

    def _refuse(self, number: int, code: str, reason: str) -> None:
        self.refused_count += 1
        self.report(number, code, reason)

    def _leave_out(self, sent: int) -> None:
        if self._sent_before[-1] == sent:
            self._left_out[-1] += 1
        else:
            self._sent_before.append(sent)
            self._left_out.append(self._left_out[-1] + 1)

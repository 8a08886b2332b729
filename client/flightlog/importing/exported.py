"""Exports of another log to lines for ingest.sock: hellos that say whose they are, and events as they are."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from sys import stdin
from typing import Final

import msgspec
from msgspec import Struct

from flightlog.exporting import Log
from flightlog.importing.sources import LINE_LIMIT_BYTES, files_of, lines_of
from flightlog.repeated import Recorded, hello_line
from flightlog_schemas.codec import RefusalError, decode_line
from flightlog_schemas.limits import Count
from flightlog_schemas.wire.reply import Pruned

ABOUT: Final = "what `flightlog export` wrote"

Report = Callable[[str, str], None]
"""Takes where a line is that cannot be told, and why."""

_STDIN: Final = Path("-")
_NO_LINE: Final = "no line of an export; `flightlog backfill` takes events without an origin"
_EVENT: Final = b'"event":'


class _Line(Struct):
    origin: Log | None = None
    pruned: Pruned | None = None
    seq: Count | None = None


_decode = msgspec.json.Decoder(_Line).decode
_decode_recorded = msgspec.json.Decoder(Recorded).decode


class Exported:
    """What some exports hold.

    Attributes:
        events: How many events were told.
        pruned: How many were gone when the exports were made.

    Args:
        report: Called for each line that cannot be told.
        advance: Called with the bytes of each line that was read.
    """

    def __init__(self, report: Report, advance: Callable[[int], None]) -> None:
        self.events = 0
        self.pruned = 0
        self._report = report
        self._advance = advance
        self._log: Log | None = None
        self._last: Recorded | None = None

    def lines(self, paths: Sequence[Path]) -> Iterator[bytes]:
        """Yield hellos and events; `-` is stdin. What cannot be told is reported, and the rest goes on."""
        for path in [path for path in paths if path == _STDIN] or files_of(paths):
            self._log = None
            try:
                with nullcontext(stdin.buffer) if path == _STDIN else path.open("rb") as stream:
                    for number, line in enumerate(lines_of(stream), 1):
                        where = f"{path}:{number}"
                        if line is None:
                            self._report(where, f"over {LINE_LIMIT_BYTES:,} bytes")
                        elif not line.isspace():
                            yield from self._tell(where, line)
                            self._advance(len(line))
            except OSError as error:
                self._report(str(path), error.strerror or str(error))

    def _tell(self, where: str, line: bytes) -> Iterator[bytes]:
        try:
            head = _decode(line)
            if head.origin is not None:
                self._log, self._last = head.origin, None
            elif head.pruned is not None:
                self.pruned += head.pruned.last_seq - head.pruned.first_seq + 1
            elif head.seq is None:
                self._report(where, _NO_LINE)
            elif self._log is None:
                self._report(where, "of which log? No line above has its origin")
            else:
                recorded = _decode_recorded(line)
                event = _as_written(line, recorded)
                decode_line(event)
                if self._last is None or not recorded.follows(self._last):
                    yield hello_line(self._log, recorded)
                self._last = recorded
                self.events += 1
                yield event
        except RefusalError as error:
            self._report(where, f"{error.code}: {error.reason}")
        except (ValueError, RecursionError) as error:
            self._report(where, f"no line of an export: {error}")


def _as_written(line: bytes, recorded: Recorded) -> bytes:
    """Return an event with the very bytes it had, blanks around it included."""
    text = line.rstrip(b"\r\n")
    start = text.find(_EVENT)
    inside = text[start + len(_EVENT) : -1]
    event = bytes(recorded.event)
    return inside if start >= 0 and text.endswith(b"}") and inside.strip() == event else event

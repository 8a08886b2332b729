"""Records of a transcript: one JSON object a line, whatever state the file is in."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from flightlog.importing.moments import moment_us
from flightlog.importing.sources import lines_of

UNREADABLE: Final = "unreadable"
"""The `type` that stands for a line that is no JSON object."""

_TEXT_LIMIT_BYTES: Final = 10_000
_WAITING_LIMIT: Final = 10_000


class Record(Struct):
    """One record.

    Attributes:
        time: Microseconds since the epoch: its own, else that of the record before it.
        place: What it is, once and for all: its `uuid`, else its content and how many like it came before.
        value: The object.
    """

    time: int
    place: str
    value: dict[str, Any]

    @property
    def type(self) -> str:
        """Its `type`."""
        found = self.value.get("type")
        return found if isinstance(found, str) else "unknown"


def records_of(path: Path) -> Iterator[Record]:
    """Yield the records of a file.

    Bytes that are no UTF-8 are replaced. A line that is no object comes as one of type `unreadable`; a last
    one without newline is left alone, for it is being written. Records without a time that come first have
    that of the first record that has one.

    Raises:
        OSError: it cannot be read.
    """
    waiting: list[Record] = []
    time: int | None = None
    for place, value in _values(path):
        found = _time_of(value)
        if found is None and time is None and len(waiting) < _WAITING_LIMIT:
            waiting.append(Record(0, place, value))
            continue
        time = found if found is not None else time
        if waiting:
            yield from _timed(waiting, path, time)
            waiting.clear()
        yield Record(_changed_us(path) if time is None else time, place, value)
    yield from _timed(waiting, path, time)


def _timed(records: list[Record], path: Path, time: int | None) -> Iterator[Record]:
    for record in records:
        record.time = _changed_us(path) if time is None else time
        yield record


def _changed_us(path: Path) -> int:
    return path.stat().st_mtime_ns // 1_000


def _values(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    seen: dict[bytes, int] = {}
    with path.open("rb") as stream:
        for line in lines_of(stream):
            if line is None:
                nth = seen[b""] = seen.get(b"", 0) + 1
                yield f"too-long.{nth}", {"type": UNREADABLE, "reason": "the line is too long"}
                continue
            if line.isspace():
                continue
            value = _decoded(line)
            if value is None:
                if not line.endswith(b"\n"):
                    return
                text = line[:_TEXT_LIMIT_BYTES].decode(errors="replace")
                value = {"type": UNREADABLE, "text": text.rstrip("\n")}
            uuid = value.get("uuid")
            if isinstance(uuid, str) and uuid:
                yield uuid, value
                continue
            content = sha256(line.rstrip(b"\n")).digest()[:16]
            nth = seen[content] = seen.get(content, 0) + 1
            yield f"{content.hex()}.{nth}", value


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        try:
            value = msgspec.json.decode(line)
        except (UnicodeDecodeError, msgspec.DecodeError):
            value = msgspec.json.decode(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _time_of(value: dict[str, Any]) -> int | None:
    found = value.get("timestamp")
    if not isinstance(found, str | int | float) or isinstance(found, bool):
        return None
    try:
        return moment_us(found)
    except (ValueError, OverflowError):
        return None

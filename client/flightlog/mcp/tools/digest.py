"""The tool to look at a log with first: what is in it, what went wrong, what most of it is."""

import re
from collections import Counter
from typing import Any, Final, Literal

from msgspec import Struct

from flightlog.errors import UsageError
from flightlog.mcp.call import Call, Item
from flightlog.mcp.tool import Arguments, Said, Tool
from flightlog.mcp.tools.options import ExecutionId, Since, TaskId, Until
from flightlog.mcp.untrusted import size_bytes
from flightlog_schemas.levels import NAMES
from flightlog_schemas.wire.lines import Logs
from flightlog_schemas.wire.query import Inspect

SCAN_LIMIT_LINES: Final = 20_000
"""Lines that one digest reads, the last of a longer log: what bounds its time and memory."""

_ENDS_LINES: Final = 5
_ERRORS_SHOWN: Final = 8
_AROUND_LINES: Final = 2
_MESSAGE_CHARS: Final = 1000
"""Longest message, whatever the arguments allow: all lines that are read are held at once."""
_PATTERNS_SHOWN: Final = 15
_PATTERN_CHARS: Final = 300
_SOURCES_SHOWN: Final = 20
_SOURCE_CHARS: Final = 60
_SEVERE: Final = frozenset({"ERROR", "FATAL"})

_VARYING: Final = re.compile(
    r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"  # a UUID
    r"|\b0x[0-9a-fA-F]+\b|\b(?=[a-f]*[0-9])[0-9a-f]{8,}\b"  # an address, a digest
    r"|[0-9]+(?:[.,:][0-9]+)*(?:(?:ns|us|µs|ms|s|m|h|d)\b)?"  # a number, an address, a time, a duration
)


class DigestAsked(Arguments, kw_only=True):
    """Arguments of `logs_digest`."""

    execution_id: ExecutionId | None = None
    task_id: TaskId | None = None
    since: Since | None = None
    until: Until | None = None


Level = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]


class Line(Struct, kw_only=True):
    """What a digest shows of a line; logs_read has its fields."""

    seq: int
    time: str
    level: Level
    source: str | None
    task_id: str | None
    message: str


class Trouble(Struct, kw_only=True):
    """A line that is an error, the first of its kind, with the lines around it; `count` are of that kind."""

    count: int
    before: list[Line]
    line: Line
    after: list[Line]


class Kind(Struct, kw_only=True):
    """Lines that are alike but for numbers and ids, which are shown as `#`."""

    pattern: str
    level: Level
    count: int
    first_seq: int
    last_seq: int


class Digest(Said, kw_only=True):
    """Answer of `logs_digest`.

    Counts are of the `scanned` lines: of all that match, or with `complete` false of the last of them.
    `recorded_by_level` counts all lines ever logged in the execution, also those that retention has taken.
    """

    execution_id: str | None
    status: str | None
    recorded_by_level: dict[str, int] | None
    scanned: int
    complete: bool
    by_level: dict[str, int]
    by_source: dict[str, int]
    errors: list[Trouble]
    error_kinds: int
    patterns: list[Kind]
    first: list[Line]
    last: list[Line]
    truncated: bool


def _digest(call: Call, asked: DigestAsked) -> Item:
    if asked.execution_id is None and asked.task_id is None:
        raise UsageError("a digest of what?", "give an execution_id, a task_id, or both")
    execution: Item | None = None
    if asked.execution_id is not None:
        [execution] = call.ask(Inspect(execution_id=asked.execution_id))
    request = Logs(
        execution_id=None if execution is None else execution["execution_id"],
        task_id=asked.task_id,
        since=call.time("since", asked.since),
        until=call.time("until", asked.until),
        reverse=True,
        limit=SCAN_LIMIT_LINES,
    )
    lines = [_line(call, line) for line in call.ask(request)][::-1]
    complete = not call.end.truncated
    kinds = _kinds(lines)
    troubles = [kind for kind in kinds.values() if kind["level"] in _SEVERE]
    repeated = sorted(kinds.values(), key=lambda kind: -kind["count"])

    by_source = _counted(lines, "source")
    room = _Room(call, size_bytes(by_source))
    ends = min(_ENDS_LINES, len(lines))
    errors = room.take(
        [_trouble(lines, kind) for kind in _spread(troubles, _ERRORS_SHOWN)], call.room_bytes // 2
    )
    last = room.take(lines[len(lines) - ends :][::-1], call.room_bytes // 6)
    first = room.take(lines[:ends], call.room_bytes // 6)
    patterns = room.take([_kind(kind) for kind in repeated[:_PATTERNS_SHOWN]], room.left)
    return call.answer(
        {
            "execution_id": None if execution is None else execution["execution_id"],
            "status": None if execution is None else execution["status"],
            "recorded_by_level": None if execution is None else execution["levels"],
            "scanned": len(lines),
            "complete": complete,
            "by_level": _counted(lines, "level"),
            "by_source": by_source,
            "errors": errors,
            "error_kinds": len(troubles),
            "patterns": patterns,
            "first": first,
            "last": last[::-1],
            "truncated": room.truncated or not complete or len(errors) < len(troubles),
        }
    )


class _Room:
    """How much of the budget is left, part by part.

    Args:
        call: Whose budget.
        used_bytes: How much of it is used already.
    """

    def __init__(self, call: Call, used_bytes: int) -> None:
        self._call = call
        self.left = call.room_bytes - used_bytes
        self.truncated = False

    def take(self, items: list[Item], most_bytes: int) -> list[Item]:
        """Return as many of the first items as a part of the budget has room for."""
        kept = self._call.fit(items, min(most_bytes, self.left))
        self.left -= sum(map(size_bytes, kept))
        self.truncated |= len(kept) < len(items)
        return kept


def _counted(lines: list[Item], name: str) -> dict[str, int]:
    found = Counter((line[name] or "")[:_SOURCE_CHARS] for line in lines)
    if name == "level":
        return {level: found[level] for level in NAMES if found[level]}
    return dict(found.most_common(_SOURCES_SHOWN))


def _kinds(lines: list[Item]) -> dict[tuple[str, str], Item]:
    """Return lines folded into kinds, in the order of their first line."""
    kinds: dict[tuple[str, str], Item] = {}
    for place, line in enumerate(lines):
        pattern = _VARYING.sub("#", line["message"][:_PATTERN_CHARS])
        kind = kinds.get((line["level"], pattern))
        if kind is None:
            kinds[line["level"], pattern] = {
                "pattern": pattern,
                "level": line["level"],
                "count": 1,
                "first_seq": line["seq"],
                "last_seq": line["seq"],
                "place": place,
            }
        else:
            kind["count"] += 1
            kind["last_seq"] = line["seq"]
    return kinds


def _spread(kinds: list[Item], limit: int) -> list[Item]:
    """Return the first and the last of many: what began it, and what it came to."""
    if len(kinds) <= limit:
        return kinds
    return kinds[: limit // 2] + kinds[-(limit // 2) :]


def _trouble(lines: list[Item], kind: Item) -> Item:
    place = kind["place"]
    return {
        "count": kind["count"],
        "before": lines[max(place - _AROUND_LINES, 0) : place],
        "line": lines[place],
        "after": lines[place + 1 : place + 1 + _AROUND_LINES],
    }


def _line(call: Call, line: Item) -> Item:
    brief: dict[str, Any] = {name: line[name] for name in Line.__struct_fields__}
    return call.item(brief, call.room_bytes // 16, chars=_MESSAGE_CHARS)


def _kind(kind: Item) -> Item:
    return {name: kind[name] for name in Kind.__struct_fields__}


DIGEST: Final = Tool(
    name="logs_digest",
    title="Digest a log",
    about="A log in brief, and the first thing to read of one: how many lines of each level and source, each"
    " kind of error with the lines around its first, what most lines are (repeated messages folded, numbers"
    " and ids as #), the first and the last lines. Of an execution, or of all runs of a task. Then read on"
    " with logs_read, for example from after_seq.",
    arguments=DigestAsked,
    answer=Digest,
    run=_digest,
)

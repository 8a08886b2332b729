"""Entries of systemd's journal to events: a run of a unit is an execution, what it writes are log lines.

| in the journal | event |
|---|---|
| the first entry of a `_SYSTEMD_INVOCATION_ID` | `execution.started`, its id is that one, its name the unit |
| what systemd says of a unit's end | `execution.ended`, with result and exit status |
| an entry of no unit: the kernel, cron | a line of the execution `journal-BOOT-IDENTIFIER` |
| any entry | `log`; its key is the entry's cursor |

What the line or its execution says anyway is not repeated in its fields; everything else is there, also all
values of what is there several times. Pure.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from flightlog.importing.keys import as_id, key_of
from flightlog.importing.shorten import cut_text, cut_value
from flightlog.importing.transcript import MESSAGE_LIMIT_CHARS, TEXT_LIMIT_CHARS, VALUE_LIMIT_CHARS
from flightlog_schemas.events import ErrorInfo, Event, ExecutionEnded, ExecutionStarted, Log
from flightlog_schemas.events.execution import Outcome
from flightlog_schemas.levels import DEBUG, ERROR, FATAL, INFO, WARN

OWN: Final = "FLIGHTLOG_SEQ"
"""A field of entries that flightlog wrote itself, from its log: they are not told again."""

SUCCEEDED: Final = "7ad2d189f7e94e70a38c781354912448"
FAILED: Final = "d9b373ed55a64feb8242e02dbe79a49c"
EXITED: Final = "98e322203f7a4ed290d09fe03c09fe15"
"""MESSAGE_ID of what systemd says of units (systemd.journal-fields(7), sd-messages.h)."""

_LEVELS: Final = (FATAL + 2, FATAL + 1, FATAL, ERROR, WARN, INFO + 1, INFO, DEBUG)
"""By PRIORITY, from emergency to debug."""

_TOLD: Final = frozenset(
    {
        "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER",
        "_BOOT_ID", "_MACHINE_ID", "_HOSTNAME", "_SYSTEMD_UNIT", "_SYSTEMD_INVOCATION_ID",
    }
)  # fmt: skip
"""Fields that a line or its execution has in places of their own."""

_SYSTEMD: Final = ("systemd", "init")
_KNOWN_LIMIT: Final = 100_000
_EXITS_LIMIT: Final = 1_000
"""Most exits of processes that are kept in mind until systemd says how their units ended."""
_NUMBER_LIMIT_CHARS: Final = 19
"""Of what fits in 64 bits."""
_BOOT_CHARS: Final = 12


class NoEntryError(Exception):
    """A line that is no entry of a journal, and why."""


class Entry(Struct):
    """One entry.

    Attributes:
        cursor: What it is, for ever and on every machine.
        time: Microseconds since the epoch, when it was written.
        fields: All fields as text, or as a list of texts where there are several of a name.
    """

    cursor: str
    time: int
    fields: dict[str, str | list[str]]

    def text(self, name: str) -> str | None:
        """Return a field; of several the first."""
        found = self.fields.get(name)
        return next(iter(found), None) if isinstance(found, list) else found


def entry_of(line: bytes) -> Entry:
    """Return the entry on a line of `journalctl -o json`.

    Raises:
        NoEntryError: there is none on it.
    """
    try:
        said = msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:
        raise NoEntryError(str(error)) from error
    if not isinstance(said, dict) or not isinstance(said.get("__CURSOR"), str):
        raise NoEntryError("no entry of a journal: it has no __CURSOR")
    time = _number(said.get("_SOURCE_REALTIME_TIMESTAMP") or said.get("__REALTIME_TIMESTAMP"))
    if time is None:
        raise NoEntryError("it has no __REALTIME_TIMESTAMP")
    fields = {name: _value(value) for name, value in said.items() if not name.startswith("__")}
    return Entry(said["__CURSOR"], time, fields)


def _number(text: object) -> int | None:
    """Return a field as a number; None where it is none, or longer than any that systemd writes."""
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _NUMBER_LIMIT_CHARS:
        return int(text)
    return None


def _value(value: Any) -> str | list[str]:
    """Return a field as text, several of a name as a list."""
    if isinstance(value, list) and not _is_bytes(value):
        return [_text(one) for one in value]
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list) and _is_bytes(value):
        return bytes(value).decode(errors="backslashreplace")
    return "" if value is None else str(value)


def _is_bytes(value: list[Any]) -> bool:
    """Say whether these are the bytes of what is no UTF-8, as journalctl writes them."""
    return bool(value) and all(type(one) is int and 0 <= one <= 255 for one in value)


class Units:
    """Makes the events of entries, in the order in which they come."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._exits: dict[str, Entry] = {}

    def events(self, entry: Entry) -> Iterator[Event]:
        """Yield what an entry tells: that an execution began, a line, that it ended."""
        unit, invocation = _of(entry)
        source = entry.text("SYSLOG_IDENTIFIER") or entry.text("_COMM") or unit or "unknown"
        boot = (entry.text("_BOOT_ID") or "unknown")[:_BOOT_CHARS]
        execution_id = as_id(invocation or "-".join(f"journal-{boot}-{source}".split()))
        if execution_id not in self._known:
            if len(self._known) >= _KNOWN_LIMIT:
                self._known.clear()
            self._known.add(execution_id)
            yield self._started(entry, execution_id, unit or source)
        yield Log(
            **_head(entry, execution_id, entry.cursor),
            message=cut_text(entry.text("MESSAGE") or "", MESSAGE_LIMIT_CHARS),
            level=_level(entry.text("PRIORITY")),
            source=source,
            fields=_fields(entry) or None,
        )
        kind = entry.text("MESSAGE_ID")
        if invocation is None or not _is_systemd(entry):
            return
        if kind == EXITED:
            if len(self._exits) >= _EXITS_LIMIT:
                del self._exits[next(iter(self._exits))]
            self._exits[execution_id] = entry
        elif kind in (SUCCEEDED, FAILED):
            yield _ended(entry, execution_id, self._exits.pop(execution_id, None))

    def _started(self, entry: Entry, execution_id: str, name: str) -> ExecutionStarted:
        labels = {"host": entry.text("_HOSTNAME"), "boot_id": entry.text("_BOOT_ID")}
        labels |= {"machine_id": entry.text("_MACHINE_ID")}
        return ExecutionStarted(
            **_head(entry, execution_id, execution_id, "started"),
            name=name,
            tool="systemd",
            labels={label: value for label, value in labels.items() if value},
        )


def _of(entry: Entry) -> tuple[str | None, str | None]:
    """Return unit and invocation: whom systemd speaks of, or who speaks."""
    if _is_systemd(entry):
        for prefix in ("", "USER_"):
            unit, invocation = entry.text(f"{prefix}UNIT"), entry.text(f"{prefix}INVOCATION_ID")
            if unit and invocation:
                return unit, invocation
    unit = entry.text("_SYSTEMD_USER_UNIT") or entry.text("_SYSTEMD_UNIT")
    return unit, entry.text("_SYSTEMD_INVOCATION_ID")


def _is_systemd(entry: Entry) -> bool:
    """Say whether a manager of units wrote it: that of the system, or of a user; nobody else is believed."""
    if entry.text("_PID") == "1":
        return True
    return entry.text("_COMM") == "systemd" and entry.text("_SYSTEMD_USER_UNIT") == "init.scope"


def _ended(entry: Entry, execution_id: str, exited: Entry | None) -> ExecutionEnded:
    result = entry.text("UNIT_RESULT")
    outcome: Outcome = "succeeded"
    if entry.text("MESSAGE_ID") == FAILED:
        outcome = "timed_out" if result == "timeout" else "failed"
    code = None
    if exited is not None and exited.text("EXIT_CODE") == "exited":
        code = _number(exited.text("EXIT_STATUS"))
    said = entry if exited is None else exited
    return ExecutionEnded(
        **_head(entry, execution_id, execution_id, "ended"),
        outcome=outcome,
        reason=result,
        exit_status=code if code is not None and code <= 255 else None,
        error=None
        if outcome == "succeeded"
        else ErrorInfo(message=cut_text(said.text("MESSAGE") or "it failed", TEXT_LIMIT_CHARS), type=result),
    )


def _head(entry: Entry, execution_id: str, *place: object) -> dict[str, Any]:
    return {
        "execution_id": execution_id,
        "time": entry.time,
        "id": key_of("journal", *place),
        "provenance": "import",
    }


def _level(priority: str | None) -> int:
    number = _number(priority)
    return _LEVELS[number] if number is not None and number < len(_LEVELS) else INFO


def _fields(entry: Entry) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in entry.fields.items()
        if name not in _TOLD or (isinstance(value, list) and len(value) > 1)
    }
    cut: dict[str, Any] = cut_value(kept, TEXT_LIMIT_CHARS, VALUE_LIMIT_CHARS)
    return cut

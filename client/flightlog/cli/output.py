"""The way to stdout: JSON for programs, lines and tables for people, colour only where it is wanted."""

import os
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from flightlog.cli.tables import Column, Row, show_table
from flightlog.cli.text import LocalClock, safe, tsv, wrap
from flightlog.clock import now_us
from flightlog_schemas.times import rfc3339

TIMES: Final = frozenset(
    {
        "time",
        "received",
        "started_at",
        "finished_at",
        "deadline",
        "created_at",
        "updated_at",
        "scheduled_at",
        "moved_at",
        "first_at",
        "last_at",
        "last_seen",
        "received_at",
        "collected_at",
        "limited_since",
    }
)
"""Keys of answers that hold microseconds since the epoch."""

_PARTS: Final = {
    "error": ("type", "message", "stack", "stack_hash"),
    "owner": ("pid", "start_time", "boot_id"),
}
"""Objects within answers, which the daemon sends without what it does not know."""

_SGR: Final = {
    "dim": "2",
    "bold": "1",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "bold red": "1;31",
    "reverse red": "7;31",
}


class Output:
    """stdout, and how it wants things.

    Args:
        color: auto, always or never.

    Attributes:
        terminal: A person reads this; else a program does.
        now_us: When this was made, which is what times are told from, in microseconds since the epoch.
    """

    def __init__(self, color: str) -> None:
        self.terminal = sys.stdout.isatty()
        self._colored = color == "always" or (color == "auto" and self.terminal and _color_welcome())
        # Text in the locale's encoding, JSON in UTF-8 whatever the locale; one verb writes one or the other.
        self._write = sys.stdout.write
        self._bytes = sys.stdout.buffer
        self.now_us = now_us()
        if self.terminal:
            clock = LocalClock(self.now_us)
            self.time = clock.__call__
            self.safe = safe
        else:
            self.time = rfc3339
            self.safe = _unchanged
        # A locale that lacks a character must not cost the line.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # stdout is a TextIOWrapper

    def paint(self, text: str, style: str | None) -> str:
        """Return text in a colour, where colour is wanted."""
        if style is None or not self._colored:
            return text
        return f"\x1b[{_SGR[style]}m{text}\x1b[0m"

    def wrapped(self, text: str, margin_chars: int) -> str:
        """Return text for a person, made safe, its lines broken and indented to stay right of a margin."""
        return wrap(safe(text), margin_chars, width_chars())

    def line(self, text: str) -> None:
        """Write a line as it is."""
        self._write(text + "\n")

    def flush(self) -> None:
        """Let everything written so far be seen."""
        sys.stdout.flush()

    def rows(self, columns: Sequence[Column[Row]], rows: Iterable[Row]) -> bool:
        """Write a list: a table for a person, tab-separated values without header for a program.

        Returns:
            Whether there was anything to list; of nothing nothing is written.
        """
        left = iter(rows)
        for first in left:
            found = chain((first,), left)
            if self.terminal:
                show_table(columns, found, colored=self._colored)
            else:
                for row in found:
                    self.line(tsv([column.value(row) for column in columns]))
            return True
        return False

    def json(self, answer: Any) -> None:
        """Write one object: laid out for a person, on one line for a program."""
        encoded = msgspec.json.encode(answer)
        self.json_line(msgspec.json.format(encoded, indent=2) if self.terminal else encoded)

    def json_line(self, encoded: bytes) -> None:
        """Write JSON as it is, and end the line."""
        self._bytes.write(self.harmless(encoded) + b"\n")

    def harmless(self, encoded: bytes) -> bytes:
        """Return JSON as it may be written here."""
        return _harmless_json(encoded) if self.terminal else encoded

    def json_array(self, answers: Iterable[Any]) -> None:
        """Write an array, each element on a line of its own, as the elements come."""
        start = b"["
        for answer in answers:
            self.json_line(start)
            encoded = msgspec.json.encode(answer)
            self._bytes.write(self.harmless(encoded))
            start = b","
        self.json_line(b"[]" if start == b"[" else b"\n]")


def shown(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with its times as RFC 3339 and null for what is not known; it is changed in place."""
    for key, names in _PARTS.items():
        value = answer.get(key)
        if isinstance(value, dict):
            answer[key] = dict.fromkeys(names) | value
    for key in TIMES.intersection(answer):
        value = answer[key]
        if isinstance(value, int):
            answer[key] = rfc3339(value)
    return answer


def shown_status(status: dict[str, Any]) -> dict[str, Any]:
    """Return how the daemon is, with times as `shown` does; what is given stays as it is."""
    told = dict(status)
    if status["retention"] is not None:
        told["retention"] = shown(dict(status["retention"]))
    for name in ("users", "relays", "origins"):
        told[name] = [shown(dict(part)) for part in status[name]]
    return shown(told)


def width_chars() -> int:
    """Return how many characters fit on a line."""
    return _terminal_size().columns


def height_lines() -> int:
    """Return how many lines are seen at once."""
    return _terminal_size().lines


def _terminal_size() -> os.terminal_size:
    from shutil import get_terminal_size  # here, for it brings what compresses along

    return get_terminal_size()


def _color_welcome() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _unchanged(text: str) -> str:
    return text


def _harmless_json(encoded: bytes) -> bytes:
    """Return JSON with every character escaped that is not printable; those are only ever inside strings.

    msgspec escapes C0 controls, and leaves DEL, C1 controls and direction marks as they are.
    """
    text = encoded.decode()
    if text.replace("\n", "").isprintable():
        return encoded
    return "".join(char if char.isprintable() or char == "\n" else _escape(char) for char in text).encode()


def _escape(char: str) -> str:
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

"""Bytes of a command's output to log entries: where lines end, what they say, what had to be cut.

Pure: bytes in, entries out. Splitting happens before decoding, so that a character whose bytes came in two
reads is whole again.
"""

from typing import Any, Final, NamedTuple

import msgspec

from flightlog.masking import masked_text
from flightlog_schemas.codec import RefusalError, decode_line, encode_event
from flightlog_schemas.cuts import CUT_CHARS
from flightlog_schemas.events import Log

LINE_LIMIT_CHARS: Final = 10_000
"""A longer message is cut here, and says so."""

RAW_LIMIT_BYTES: Final = 256 * 1024
"""Most bytes held of one line, so that output without newlines cannot fill the memory."""

_CONTINUATION: Final = bytes(range(0x80, 0xC0))
"""Bytes that continue a UTF-8 character: what is left after deleting them counts characters."""


class RawLine(NamedTuple):
    """One line without its newline; `skipped_chars` of its end were not kept."""

    data: bytes
    skipped_chars: int


class Entry(NamedTuple):
    """What one line says: `level` None where it does not say; `cut_chars` counts what was left out."""

    message: str
    level: str | int | None
    fields: dict[str, Any]
    cut_chars: int


class LineSplitter:
    """Cuts one stream of bytes into lines.

    Args:
        limit_bytes: Most that is kept of one line.
    """

    def __init__(self, limit_bytes: int = RAW_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._held = bytearray()
        self._skipped_chars = 0

    def feed(self, data: bytes) -> list[RawLine]:
        """Return the lines that these bytes completed, in order."""
        first, newline, rest = data.partition(b"\n")
        self._hold(first)
        if not newline:
            return []
        lines = [self._take()]
        complete = rest.split(b"\n")
        self._hold(complete.pop())
        lines.extend(self._bounded(line) for line in complete)
        return lines

    def finish(self) -> list[RawLine]:
        """Return the last line if the stream ended without a newline."""
        return [self._take()] if self._held else []

    def _hold(self, data: bytes) -> None:
        room = self._limit_bytes - len(self._held)
        self._held += data[:room]
        if len(data) > room:
            self._skipped_chars += count_chars(data[room:])

    def _take(self) -> RawLine:
        line = RawLine(bytes(self._held), self._skipped_chars)
        self._held.clear()
        self._skipped_chars = 0
        return line

    def _bounded(self, line: bytes) -> RawLine:
        limit_bytes = self._limit_bytes
        if len(line) <= limit_bytes:
            return RawLine(line, 0)
        return RawLine(line[:limit_bytes], count_chars(line[limit_bytes:]))


def count_chars(data: bytes) -> int:
    """Return how many characters these bytes of UTF-8 are, or the part that begins in them."""
    return len(data.translate(None, _CONTINUATION))


def entry(line: RawLine, stream: str) -> Entry:
    r"""Return what a line says.

    A JSON object with `level` and `message` becomes a structured entry, its other keys the fields. Any
    other line is its own message, bytes that are not UTF-8 shown as `\xff`.

    Args:
        line: One line as it was split.
        stream: Where it came from (`stdout`, `stderr`), kept in the fields.
    """
    if line.data.startswith(b"{") and not line.skipped_chars:
        structured = _structured(line.data, stream)
        if structured is not None:
            return structured
    text = line.data.removesuffix(b"\r").decode(errors="backslashreplace")
    message, cut_chars = _cut(text, line.skipped_chars)
    fields: dict[str, Any] = {"stream": stream}
    if cut_chars:
        fields[CUT_CHARS] = cut_chars
    return Entry(message, None, fields, cut_chars)


def _structured(data: bytes, stream: str) -> Entry | None:
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    level, text = said.pop("level", None), said.pop("message", None)
    if not isinstance(text, str) or not isinstance(level, str | int) or isinstance(level, bool):
        return None
    if "stream" in said:
        said["line_stream"] = said.pop("stream")
    message, cut_chars = _cut(text, 0)
    fields = {**said, "stream": stream}
    if cut_chars:
        fields[CUT_CHARS] = cut_chars
    try:
        # What the daemon would refuse (too deep, a number past 64 bits) is better kept as plain text.
        decode_line(encode_event(Log(execution_id="x", message=message, level=level, fields=fields)))
    except (RefusalError, RecursionError, OverflowError):
        return None
    return Entry(message, level, fields, cut_chars)


def _cut(text: str, skipped_chars: int) -> tuple[str, int]:
    if len(text) > LINE_LIMIT_CHARS or skipped_chars:
        # Before it is cut, for half a secret would not be found.
        text = masked_text(text)
    over = max(len(text) - LINE_LIMIT_CHARS, 0) + skipped_chars
    if not over:
        return text, 0
    return f"{text[:LINE_LIMIT_CHARS]}… [{over:,} more characters cut]", over

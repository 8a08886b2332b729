"""Bytes to lines, bounded: where lines end, and how much of the long ones is kept.

Pure. Splitting happens before decoding, so that a character whose bytes came in two reads is whole again.
"""

from typing import Final, NamedTuple

RAW_LIMIT_BYTES: Final = 256 * 1024
"""Most bytes held of one line, so that output without newlines cannot fill the memory."""

_CONTINUATION: Final = bytes(range(0x80, 0xC0))
"""Bytes that continue a UTF-8 character: what is left after deleting them counts characters."""


class RawLine(NamedTuple):
    """One line without its newline; `skipped_chars` of its end were not kept."""

    data: bytes
    skipped_chars: int


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

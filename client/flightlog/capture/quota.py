"""How much of a command's output is recorded: up to a limit, then one line that says so. Pure.

What is left out is counted, whole lines and the ends of long ones, so that the command's end can tell.
"""

from collections.abc import Callable

from flightlog.capture.lines import Entry, entry
from flightlog.capture.split import RawLine, count_chars
from flightlog_schemas.cuts import CAPTURE_LIMIT_BYTES, OUTPUT_LIMIT_BYTES


class Quota:
    """What of a command's output is recorded.

    Args:
        limit_bytes: Most of it. A line that was cut counts with what is kept of it.
    """

    def __init__(self, limit_bytes: int = OUTPUT_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._full = False
        self._cut_lines = 0
        self._cut_chars = 0
        self._unrecorded_lines = 0
        self._unrecorded_chars = 0

    @property
    def left_out(self) -> tuple[int, int, int, int]:
        """How many lines were cut, by how many characters, and how many were left out, of how many."""
        return self._cut_lines, self._cut_chars, self._unrecorded_lines, self._unrecorded_chars

    def take(self, line: RawLine, stream: str, mask: Callable[[str], str]) -> Entry | None:
        """Return what is to be recorded for a line: its entry, the warning, or nothing.

        Args:
            line: One line as it was split.
            stream: Where it came from.
            mask: Hides what is secret only together with lines before it; it sees all that are recorded.
        """
        if self._full:
            self._leave_out(line)
            return None
        said = entry(line, stream)
        kept = len(said.message.encode()) if said.cut_chars and said.level is None else len(line.data)
        if self._bytes + kept + 1 > self._limit_bytes:
            self._full = True
            self._leave_out(line)
            return Entry(
                f"output over {self._limit_bytes / 2**20:g} MiB: what follows is not recorded, only counted",
                "WARN",
                {"stream": stream, CAPTURE_LIMIT_BYTES: self._limit_bytes},
                0,
            )
        self._bytes += kept + 1
        if said.cut_chars:
            self._cut_lines += 1
            self._cut_chars += said.cut_chars
        return said._replace(message=mask(said.message))

    def _leave_out(self, line: RawLine) -> None:
        self._unrecorded_lines += 1
        self._unrecorded_chars += count_chars(line.data) + line.skipped_chars

"""Bytes to whole lines, with a limit on the longest. Pure."""

from flightlogd.errors import PeerError


class Oversize:
    """What is left of a line over the limit: its beginning and its length in bytes."""

    __slots__ = ("head", "size_bytes")

    def __init__(self, head: bytes, size_bytes: int) -> None:
        self.head = head
        self.size_bytes = size_bytes


class UnfinishedBudget:
    """Bytes of unfinished lines over all connections, so that many half lines cannot fill the memory."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    def move(self, delta_bytes: int) -> None:
        """Take or give back bytes.

        Raises:
            PeerError: `overloaded`, when taking these would pass the limit; nothing is taken then.
        """
        if delta_bytes > 0 and self.used_bytes + delta_bytes > self.limit_bytes:
            raise PeerError(
                "overloaded",
                "too many unfinished lines on all connections",
                "end lines with a newline sooner",
            )
        self.used_bytes += delta_bytes


class LineSplitter:
    """Splits a byte stream at newlines. A line over the limit is skimmed over and comes as `Oversize`.

    Args:
        limit_bytes: Longest line without its newline.
        budget: Where bytes of the unfinished line are accounted.
        keep_bytes: How much of an oversize line is kept.
    """

    def __init__(self, limit_bytes: int, budget: UnfinishedBudget, keep_bytes: int = 4096) -> None:
        self._limit = limit_bytes
        self._budget = budget
        self._keep = keep_bytes
        self._rest = bytearray()
        self._skimmed = 0
        """Length so far of the oversize line that is passing, 0 when none is."""

    @property
    def unfinished(self) -> bool:
        """True while there is half a line."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes | Oversize]:
        """Return the lines that `data` completes, blank ones left out.

        Raises:
            PeerError: `overloaded`, by the budget.
        """
        before = len(self._rest)
        lines: list[bytes | Oversize] = []
        end = data.find(b"\n")
        if end < 0:
            self._keep_rest(data)
        else:
            if self._skimmed:
                lines.append(Oversize(bytes(self._rest), self._skimmed + end))
                data = data[end + 1 :]
            elif before:
                data = bytes(self._rest) + data
            self._rest.clear()
            self._skimmed = 0
            limit = self._limit
            whole = data.split(b"\n")
            rest = whole.pop()
            if max(map(len, whole), default=0) <= limit and all(map(bytes.strip, whole)):
                lines += whole
            else:
                lines += [
                    line if len(line) <= limit else Oversize(line[: self._keep], len(line))
                    for line in whole
                    if line and not line.isspace()
                ]
            self._keep_rest(rest)
        self._budget.move(len(self._rest) - before)
        return lines

    def finish(self) -> bytes | Oversize | None:
        """Return the unterminated last line, if any, and give its bytes back to the budget."""
        rest, skimmed = bytes(self._rest), self._skimmed
        self._rest.clear()
        self._skimmed = 0
        self._budget.move(-len(rest))
        if skimmed:
            return Oversize(rest, skimmed)
        return None if not rest or rest.isspace() else rest

    def _keep_rest(self, data: bytes) -> None:
        if self._skimmed:
            self._skimmed += len(data)
            return
        # Appending in place: a peer that drips bytes must not cost a copy of its line for each.
        self._rest += data
        if len(self._rest) > self._limit:
            self._skimmed = len(self._rest)
            del self._rest[self._keep :]

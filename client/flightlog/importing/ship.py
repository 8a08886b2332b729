"""Items to the daemon: lines in large blocks, and what became of each item, in constant memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from flightlog.append import RUN_AGAIN, append
from flightlog.daemon import ACK_LIMIT_S
from flightlog_schemas.wire.ingest import Busy, IngestReply


class Item(Struct):
    """What is told as one: it is added, known already, or fails as a whole.

    Attributes:
        where: The file, and the line where it has several.
        kind: What it is counted as.
        lines: Its events, one JSON object each, with keys; masked.
        size_bytes: How much of the input it was.
    """

    where: str
    kind: str
    lines: list[bytes]
    size_bytes: int = 0


class Settled(Struct):
    """What became of an item.

    Attributes:
        item: Which.
        added: How many of its lines are new in the log.
        skipped: How many were known.
        refused: Why lines were not stored.
    """

    item: Item
    added: int
    skipped: int
    refused: list[str]


class _Sent(Struct):
    item: Item
    last_line: int


class Shipment:
    """Items on their way.

    Args:
        on_settled: Called for each item once it is on disk, in order.
    """

    def __init__(self, on_settled: Callable[[Settled], None]) -> None:
        self._on_settled = on_settled
        self._sent: deque[_Sent] = deque()
        self._line = 0
        self._known: set[int] = set()
        self._refused: dict[int, str] = {}

    def send(
        self, ingest_socket: Path, items: Iterable[Item | None], on_busy: Callable[[Busy], None]
    ) -> None:
        """Send all items, never waiting for one before the next; return when all are settled.

        None among them says that nothing more comes for a while, and what was taken so far goes out.

        Raises:
            DaemonAway: nobody listens, or the connection broke; what was settled is on disk.
            AppendFailed: the daemon ended the connection and said why.
        """
        append(
            ingest_socket,
            self._lines(items),
            timeout_s=ACK_LIMIT_S,
            masked=True,
            on_busy=on_busy,
            on_reply=self._take,
            again=RUN_AGAIN,
        )

    def _lines(self, items: Iterable[Item | None]) -> Iterator[bytes]:
        for item in items:
            if item is None:
                yield b""
                continue
            self._line += len(item.lines)
            self._sent.append(_Sent(item, self._line))
            yield from item.lines

    def _take(self, reply: IngestReply) -> None:
        if reply.duplicate is not None:
            self._known.add(reply.duplicate.line)
        elif reply.refused is not None:
            self._refused[reply.refused.line] = f"{reply.refused.code}: {reply.refused.reason}"
        elif reply.ack is not None:
            while self._sent and self._sent[0].last_line <= reply.ack.lines:
                self._settle(self._sent.popleft())

    def _settle(self, sent: _Sent) -> None:
        lines = range(sent.last_line - len(sent.item.lines) + 1, sent.last_line + 1)
        skipped = sum(line in self._known for line in lines)
        refused = [self._refused.pop(line) for line in lines if line in self._refused]
        self._known.difference_update(lines)
        self._on_settled(Settled(sent.item, len(lines) - skipped - len(refused), skipped, refused))


class Tally(Struct, kw_only=True):
    """How many of a kind."""

    added: int = 0
    skipped: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.added + self.skipped + self.failed

    def shown(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"total": self.total, "added": self.added, "skipped": self.skipped, "failed": self.failed}
